import { Controller, Inject } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import type { Settings } from '../config/settings.js';
import type { JsonObject } from '../quic/frame-codec.js';
import { NodeParams } from '../quic/node-params.js';
import type { QuicContext } from '../quic/quic-context.js';
import { QUIC } from '../quic/transport-id.js';
import { CLOCK, SETTINGS, STORE_TIME, type StoreTimeSource } from '../runtime.js';
import type { Clock } from '../time/clock.js';
import { Presence } from './presence.js';
import { readClaims } from './registration.js';

interface RegisteredMessage {
  readonly platform: string;
  readonly capabilities: readonly string[];
  /** Unix milliseconds, when it last said something new. */
  readonly registered_at_ms: number;
}

interface HeartbeatMessage {
  /** Unix milliseconds. */
  readonly server_time_ms: number;
  /** How often the service wishes to hear from a device. */
  readonly heartbeat_interval_ms: number;
  readonly epoch: number;
  readonly sequence: number;
}

/** What devices say of themselves, and that they are there. */
@Controller()
export class PresenceController {
  constructor(
    private readonly presence: Presence,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(STORE_TIME) private readonly store: StoreTimeSource,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  @MessagePattern('node.register', QUIC)
  async register(
    @Payload() params: JsonObject,
    @Ctx() { deviceId }: QuicContext,
  ): Promise<RegisteredMessage> {
    const { platform, capabilities, registeredAt } = await this.presence.register(
      deviceId,
      readClaims(params),
    );
    return { platform, capabilities, registered_at_ms: registeredAt };
  }

  /** That it came is what counts: the connection is alive, and that is what presence is read from. */
  @MessagePattern('node.heartbeat', QUIC)
  heartbeat(@Payload() params: JsonObject): HeartbeatMessage {
    new NodeParams(params).end();
    const { epoch, sequence } = this.store.storeTime();
    return {
      server_time_ms: this.clock.now(),
      heartbeat_interval_ms: this.settings.quic.heartbeat,
      epoch,
      sequence,
    };
  }
}

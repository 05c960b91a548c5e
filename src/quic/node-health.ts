import type { Clock } from '../time/clock.js';

/** Injection token of the {@link NodeHealthService}. */
export const NODE_HEALTH = Symbol('NODE_HEALTH');

/** What `node.health` tells a device, as it travels. */
export interface NodeHealth {
  /** Who the server takes the device for. */
  readonly device_id: string;
  readonly trust_domain: string;
  /** Unix milliseconds; a device whose clock is far off finds out here. */
  readonly server_time_ms: number;
  readonly version: string;
}

/** Answers `node.health`. Being asked at all means that the device was admitted. */
export class NodeHealthService {
  constructor(
    private readonly clock: Clock,
    private readonly server: { readonly trustDomain: string; readonly version: string },
  ) {}

  healthFor(deviceId: string): NodeHealth {
    return {
      device_id: deviceId,
      trust_domain: this.server.trustDomain,
      server_time_ms: this.clock.now(),
      version: this.server.version,
    };
  }
}

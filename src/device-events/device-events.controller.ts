import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern } from '@nestjs/microservices';
import { from, map, type Observable } from 'rxjs';
import type { QuicContext } from '../quic/quic-context.js';
import { QUIC } from '../quic/transport-id.js';
import type { DeviceEvent } from './device-event.js';
import { DeviceEventStreams } from './device-event-stream.js';

/** An event as it travels; `seq` goes beside it, into the response. */
interface EventMessage {
  readonly seq: number;
  readonly type: string;
  readonly time_ms: number;
}

/** What a device is told of decisions about it. */
@Controller()
export class DeviceEventsController {
  constructor(private readonly streams: DeviceEventStreams) {}

  @MessagePattern('node.stream_events', QUIC)
  events(@Ctx() { deviceId, resumeFrom = 0, answer }: QuicContext): Observable<EventMessage> {
    const events = this.streams.follow(deviceId, {
      after: resumeFrom,
      signal: answer.signal,
      writable: () => answer.writable(),
      sendNow: (event) => {
        const { seq, ...content } = messageOf(event);
        answer.sendEvent(seq, content);
      },
    });
    return from(events).pipe(map(messageOf));
  }
}

const messageOf = ({ sequence, type, timeMs, details }: DeviceEvent): EventMessage => ({
  ...details,
  seq: sequence,
  type,
  time_ms: timeMs,
});

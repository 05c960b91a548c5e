import type { Metadata, ServerUnaryCall } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type {
  ClockState as ClockStateMessage,
  ConfirmClockRequest,
  ConfirmClockResponse,
  GetClockResponse,
} from '../generated/palyra/controlplane/v1/clock.js';
import { operatorOf } from '../grpc/caller-of-call.js';
import { parseReason } from '../grpc/paging.js';
import { CLOCK_WATCH } from '../runtime.js';
import type { ClockState, ClockWatch } from './clock-watch.js';

/** The clock's part of ControlPlane. */
@Controller()
export class ClockController {
  constructor(@Inject(CLOCK_WATCH) private readonly watch: ClockWatch) {}

  @GrpcMethod('ControlPlane', 'getClock')
  getClock(): GetClockResponse {
    return { clock: toProto(this.watch.state()) };
  }

  @GrpcMethod('ControlPlane', 'confirmClock')
  async confirmClock(
    request: ConfirmClockRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<ConfirmClockRequest, ConfirmClockResponse>,
  ): Promise<ConfirmClockResponse> {
    const reason = parseReason(request.reason);
    const state = await this.watch.confirm(operatorOf(call), reason, request.adminTime?.getTime());
    return { clock: toProto(state) };
  }
}

function toProto({ nowMs, highestMs, doubt }: ClockState): ClockStateMessage {
  return {
    time: new Date(nowMs),
    highestTime: new Date(highestMs),
    doubt: doubt?.kind ?? '',
    deviation: doubt && { seconds: BigInt(Math.trunc(doubt.byMs / 1000)), nanos: 0 },
  };
}

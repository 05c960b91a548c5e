import { Metadata } from '@grpc/grpc-js';
import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { type Observable, tap } from 'rxjs';
import { STORE_TIME, type StoreTimeSource } from '../runtime.js';
import { type GrpcCall, callerOf, isGrpcCall } from './caller-of-call.js';

/**
 * Sends `palyra-epoch` and `palyra-sequence` with every answer to an operator, as they are once the decision is committed:
 * a client that has seen a higher pair knows that somebody put an old store back.
 */
@Injectable()
export class StoreTimeInterceptor implements NestInterceptor {
  constructor(@Inject(STORE_TIME) private readonly source: StoreTimeSource) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const call: unknown = context.getArgByIndex(2);
    if (!isGrpcCall(call) || callerOf(call).kind !== 'operator') {
      return next.handle();
    }
    if (isServerStream(call)) {
      this.send(call);
      return next.handle();
    }
    return next.handle().pipe(
      tap(() => {
        this.send(call);
      }),
    );
  }

  private send(call: GrpcCall): void {
    const { epoch, sequence } = this.source.storeTime();
    const metadata = new Metadata();
    metadata.set('palyra-epoch', String(epoch));
    metadata.set('palyra-sequence', String(sequence));
    call.sendMetadata(metadata);
  }
}

/** A stream writes by itself, so its metadata has to go first. */
function isServerStream(call: GrpcCall): boolean {
  return 'write' in call;
}

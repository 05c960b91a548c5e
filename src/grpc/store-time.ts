import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import type { StoreTimeSource } from '../runtime.js';
import { callerOf } from './caller-of-call.js';

/**
 * Sends `palyra-epoch` and `palyra-sequence` with every answer to an operator: a client that has seen a higher pair knows
 * that somebody put an old store back. A unary answer has them as they are once its decision is committed, a stream as
 * they are when it begins.
 *
 * It stands at the gRPC server, behind the interceptor that identifies callers, and not among Nest's interceptors, which
 * would run on node RPC too and cost it a third of its calls.
 */
export function sendStoreTime(source: StoreTimeSource): ServerInterceptor {
  return (_method, call) => {
    let request: Metadata | undefined;
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, deliver) => {
            request = metadata;
            deliver(metadata);
          },
        });
      },
      sendMetadata: (response, next) => {
        if (request !== undefined && callerOf({ metadata: request }).kind === 'operator') {
          addStoreTime(response, source);
        }
        next(response);
      },
    });
  };
}

function addStoreTime(metadata: Metadata, source: StoreTimeSource): void {
  const { epoch, sequence } = source.storeTime();
  metadata.set('palyra-epoch', String(epoch));
  metadata.set('palyra-sequence', String(sequence));
}

import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerListener,
  status,
} from '@grpc/grpc-js';
import { DomainError } from '../errors/domain-error.js';
import type { Caller, OperatorAuthenticator } from '../operators/caller.js';
import { unmapped } from '../network/network-address.js';
import { identifyCaller, rememberProof } from './caller-of-call.js';
import type { PeerAddress } from './connection-gate.js';
import type { Proof } from './connection-places.js';
import type { FailureLog } from './failure-log.js';
import { UnreadableRequest } from './message-rules.js';
import { toStatus } from './status.js';

/** What grpc-js calls an interceptor with. */
type InterceptedCall = Parameters<ServerInterceptor>[1];

/** Learns of each call that has ended. */
export interface CallObserver {
  /** @param method Path of an RPC that exists; `code` as in `google.rpc.Code`. */
  callEnded(method: string, code: status, seconds: number): void;
}

/** Counts and times every call, those to health and reflection included. */
export function measureCalls(observer: CallObserver): ServerInterceptor {
  return (method, call) => {
    const begun = performance.now();
    let counted = false;
    const count = (code: status): void => {
      if (!counted) {
        counted = true;
        observer.callEnded(method.path, code, (performance.now() - begun) / 1_000);
      }
    };
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onCancel: () => {
            count(status.CANCELLED);
          },
        });
      },
      sendStatus: (sent, next) => {
        count(sent.code);
        next(sent);
      },
    });
  };
}

/** Where the door learns that somebody has shown itself on a connection, which then keeps its place. */
export type ProveConnection = (peer: PeerAddress, proof: Proof) => void;

/** Decides who calls, before a byte of the request is read, on every RPC of the server, the libraries' included. */
export function identifyCallers(
  operators: OperatorAuthenticator,
  log: FailureLog,
  prove: ProveConnection,
): ServerInterceptor {
  return (method, call) =>
    listening(call, {
      onReceiveMetadata: (metadata, next) => {
        identify(metadata, call, operators).then(
          (caller) => {
            const peer = call.getConnectionInfo();
            if (caller.kind === 'operator') prove(peer, { kind: 'operator' });
            rememberProof(metadata, (id) => {
              prove(peer, { kind: 'device', id });
            });
            next(metadata);
          },
          (error: unknown) => {
            log.report(error, method.path);
            call.sendStatus(toStatus(error));
          },
        );
      },
    });
}

function identify(
  metadata: Metadata,
  call: InterceptedCall,
  operators: OperatorAuthenticator,
): Promise<Caller> {
  const source = unmapped(call.getConnectionInfo().remoteAddress ?? 'unknown');
  return identifyCaller(metadata, source, operators);
}

/** Answers requests that could not be read, and those that take longer than `timeoutMs` to arrive. */
export function boundRequests(timeoutMs: number): ServerInterceptor {
  return (method, call) => {
    const timer = setTimeout(() => {
      const text = `the request did not arrive within ${timeoutMs} ms`;
      call.sendStatus(toStatus(new DomainError('timeout', 'REQUEST_TIMEOUT', text)));
    }, timeoutMs);
    timer.unref();
    return listening(call, {
      onReceiveMessage: (message: unknown, next) => {
        if (message instanceof UnreadableRequest) {
          call.sendStatus(toStatus(message.error));
          return;
        }
        // A stream of requests has time rules of its own; it has begun.
        if (method.requestStream) {
          clearTimeout(timer);
        }
        next(message);
      },
      onReceiveHalfClose: (next) => {
        clearTimeout(timer);
        next();
      },
      onCancel: () => {
        clearTimeout(timer);
      },
    });
  };
}

/** Streams that would stay open for ever, so that they can be ended when the server goes. */
export class OpenStreams {
  readonly #ends = new Set<() => void>();

  /** @param finishes Whether a stream of this method ends by itself within the time that shutdown allows. */
  constructor(private readonly finishes: (path: string) => boolean) {}

  readonly interceptor: ServerInterceptor = (method, call) => {
    if (this.finishes(method.path) || !(method.requestStream || method.responseStream)) {
      return new ServerInterceptingCall(call);
    }
    const end = (): void => {
      call.sendStatus(
        toStatus(new DomainError('unavailable', 'GOING_AWAY', 'the server is shutting down; call again')),
      );
    };
    this.#ends.add(end);
    return listening(call, {
      onCancel: () => {
        this.#ends.delete(end);
      },
    });
  };

  /** Ends them all with UNAVAILABLE. */
  endAll(): void {
    for (const end of this.#ends) {
      end();
    }
  }
}

function listening(call: InterceptedCall, listener: ServerListener): ServerInterceptingCall {
  return new ServerInterceptingCall(call, {
    start: (next) => {
      next(listener);
    },
  });
}

import { status, type Client, Metadata, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { stoppedBy } from '../client-error.js';
import { remoteError } from '../remote-error.js';
import { unreachable } from './connection-error.js';
import type { GrpcTarget } from './secure-target.js';
import { type ConnectOptions, fetchServerChain, probeServer } from './server-chain.js';

/** A method as `ControlPlaneService` and `NodeServiceService` describe it. */
export interface UnaryMethod<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (value: Buffer) => Response;
}

/** An open channel and what it was made from. */
export interface Connection {
  readonly client: Client;
  readonly target: GrpcTarget;
}

export interface UnaryCallOptions {
  readonly metadata?: Metadata;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Gets response metadata and trailers, of failed calls too. */
  readonly onMetadata?: (metadata: Metadata) => void;
}

/** One call with a deadline. Throws `RemoteError` for what the server answered and `ClientError` for the rest. */
export async function unaryCall<Request, Response>(
  connection: Connection,
  method: UnaryMethod<Request, Response>,
  request: Request,
  options: UnaryCallOptions,
): Promise<Response> {
  if (options.signal?.aborted === true) throw stoppedBy(options.signal);
  try {
    return await startCall(connection.client, method, request, options);
  } catch (error) {
    throw await explainFailure(connection.target, error as ServiceError, options);
  }
}

async function startCall<Request, Response>(
  client: Client,
  method: UnaryMethod<Request, Response>,
  request: Request,
  options: UnaryCallOptions,
): Promise<Response> {
  return new Promise<Response>((resolve, reject) => {
    const callOptions = { deadline: Date.now() + options.timeoutMs };
    const onResult = (error: ServiceError | null, response?: Response): void => {
      options.signal?.removeEventListener('abort', onAbort);
      if (error === null && response !== undefined) resolve(response);
      else reject(error ?? new Error('the call ended without an answer'));
    };
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      options.metadata ?? new Metadata(),
      callOptions,
      onResult,
    );
    const onAbort = (): void => {
      call.cancel();
    };
    options.signal?.addEventListener('abort', onAbort, { once: true });
    call.on('metadata', (metadata: Metadata) => options.onMetadata?.(metadata));
    call.on('status', (result: StatusObject) => options.onMetadata?.(result.metadata));
  });
}

/**
 * Turns a failed call into what happened: an interruption, a false server, no server, or an answer. grpc-js says
 * UNAVAILABLE both for a server that is away and for one whose certificate did not verify, so that one is asked again.
 */
export async function explainFailure(
  target: GrpcTarget,
  error: ServiceError,
  options: ConnectOptions,
): Promise<Error> {
  if (options.signal?.aborted === true) return stoppedBy(options.signal);
  const remote = remoteError(error);
  // Without an ErrorInfo the reason is the code: our server did not say this.
  if (remote.reason !== remote.code) return remote;
  if (error.code === status.DEADLINE_EXCEEDED)
    return unreachable(target.endpoint, 'it did not answer in time', error);
  if (error.code !== status.UNAVAILABLE) return remote;
  return (
    (await probeFailure(target, options)) ?? unreachable(target.endpoint, 'it broke the call off', error)
  );
}

async function probeFailure(
  target: GrpcTarget,
  { timeoutMs, signal }: ConnectOptions,
): Promise<Error | undefined> {
  const options = { timeoutMs: Math.min(timeoutMs, 5_000), signal };
  try {
    if (target.trust === undefined) await fetchServerChain(target.endpoint, options);
    else await probeServer(target.endpoint, target.trust, options);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

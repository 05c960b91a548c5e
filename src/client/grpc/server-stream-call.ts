import { type ClientReadableStream, Metadata, type ServiceError } from '@grpc/grpc-js';
import { stoppedBy } from '../client-error.js';
import { type Connection, explainFailure, type UnaryMethod } from './unary-call.js';

export interface ServerStreamCallOptions {
  readonly metadata?: Metadata;
  /** The whole call; without it the call may take as long as it takes, as long as the connection lives. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Gets response metadata, before the first message. */
  readonly onMetadata?: (metadata: Metadata) => void;
}

/** How long a server is asked whether it is the right one, once a call has failed. */
const PROBE_TIMEOUT_MS = 5_000;

/**
 * A call that is answered by a stream, read as fast as it is taken. Leaving the loop ends the call. Throws `RemoteError`
 * for what the server answered and `ClientError` for the rest.
 */
export async function* serverStreamCall<Request, Response>(
  connection: Connection,
  method: UnaryMethod<Request, Response>,
  request: Request,
  options: ServerStreamCallOptions,
): AsyncGenerator<Response, void, undefined> {
  const { signal } = options;
  if (signal?.aborted === true) throw stoppedBy(signal);
  const call = startCall(connection, method, request, options);
  const onAbort = (): void => {
    call.cancel();
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const response of call as AsyncIterable<Response>) yield response;
  } catch (error) {
    const timeoutMs = PROBE_TIMEOUT_MS;
    throw await explainFailure(connection.target, error as ServiceError, { signal, timeoutMs });
  } finally {
    signal?.removeEventListener('abort', onAbort);
    call.cancel();
  }
}

function startCall<Request, Response>(
  { client }: Connection,
  method: UnaryMethod<Request, Response>,
  request: Request,
  options: ServerStreamCallOptions,
): ClientReadableStream<Response> {
  const call = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    options.metadata ?? new Metadata(),
    options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs },
  );
  // The iteration gets errors; one that comes when it is over must not end the process.
  call.on('error', () => undefined);
  call.on('metadata', (metadata: Metadata) => options.onMetadata?.(metadata));
  return call;
}

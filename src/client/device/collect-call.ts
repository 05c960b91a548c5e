import { Client, Metadata, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import {
  type CollectResponse,
  NodeServiceService,
} from '../../generated/palyra/controlplane/v1/node_service.js';
import type { GrpcTarget } from '../grpc/secure-target.js';
import { explainFailure } from '../grpc/unary-call.js';

/** The server ends a stream after 10 min by itself. */
const COLLECT_TIMEOUT_MS = 11 * 60_000;
const PROBE_TIMEOUT_MS = 5_000;

/**
 * One `NodeService.Collect` over a verified channel: the state of the request at once, then each change. Ends when the
 * server ends it. Throws `RemoteError` and `ClientError`; leaving the loop ends the call.
 */
export async function* callCollect(
  target: GrpcTarget,
  token: Buffer,
  signal: AbortSignal,
): AsyncGenerator<CollectResponse, void, undefined> {
  const client = new Client(target.address, target.credentials, target.options);
  const call = openCall(client, token);
  const onAbort = (): void => {
    call.cancel();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const response of call as AsyncIterable<CollectResponse>) yield response;
  } catch (error) {
    throw await explainFailure(target, error as ServiceError, { signal, timeoutMs: PROBE_TIMEOUT_MS });
  } finally {
    signal.removeEventListener('abort', onAbort);
    call.cancel();
    client.close();
  }
}

function openCall(client: Client, token: Buffer): ClientReadableStream<CollectResponse> {
  const method = NodeServiceService.collect;
  const call = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    { token },
    new Metadata(),
    { deadline: Date.now() + COLLECT_TIMEOUT_MS },
  );
  // The iteration gets errors; one that comes when it is over must not end the process.
  call.on('error', () => undefined);
  return call;
}

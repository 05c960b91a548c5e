import { Client } from '@grpc/grpc-js';
import {
  type CollectResponse,
  NodeServiceService,
} from '../../generated/palyra/controlplane/v1/node_service.js';
import type { GrpcTarget } from '../grpc/secure-target.js';
import { serverStreamCall } from '../grpc/server-stream-call.js';

/** The server ends a stream after 10 min by itself. */
const COLLECT_TIMEOUT_MS = 11 * 60_000;

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
  try {
    const options = { signal, timeoutMs: COLLECT_TIMEOUT_MS };
    yield* serverStreamCall({ client, target }, NodeServiceService.collect, { token }, options);
  } finally {
    client.close();
  }
}

import { Client } from '@grpc/grpc-js';
import {
  NodeServiceService,
  type RenewRequest,
  type RenewResponse,
} from '../../generated/palyra/controlplane/v1/node_service.js';
import type { RenewalInput } from '../../identity/renewal-request.js';
import { ClientError } from '../client-error.js';
import type { GrpcTarget } from '../grpc/secure-target.js';
import { unaryCall } from '../grpc/unary-call.js';
import { RemoteError } from '../remote-error.js';

const RENEW_TIMEOUT_MS = 30_000;

/**
 * One `NodeService.Renew` over a verified channel. Throws `refused` when the server said no for good, with what to do,
 * `RemoteError` for other answers, and `ClientError` when it was not reached.
 */
export async function callRenew(
  target: GrpcTarget,
  request: RenewalInput,
  signal: AbortSignal,
): Promise<RenewResponse> {
  const client = new Client(target.address, target.credentials, target.options);
  try {
    const options = { timeoutMs: RENEW_TIMEOUT_MS, signal };
    return await unaryCall({ client, target }, NodeServiceService.renew, messageOf(request), options);
  } catch (error) {
    throw asRefusal(error);
  } finally {
    client.close();
  }
}

function messageOf({ deviceId, parent, csr, signature }: RenewalInput): RenewRequest {
  return {
    deviceId,
    parent: Buffer.from(parent),
    csr: Buffer.from(csr),
    signature: Buffer.from(signature),
  };
}

const PAIR_AGAIN = 'pair this device again: palyra pairing pair --endpoint host:port';
const ASK_OPERATOR = 'ask an operator to look into it, then: palyra devices clear <device-id>';

/** By the server's reason: what no later try of the same will change. */
const ADVICE: Readonly<Record<string, string>> = {
  RENEWAL_REFUSED: PAIR_AGAIN,
  RENEWAL_TOO_LATE: PAIR_AGAIN,
  RENEWAL_CONFLICT: ASK_OPERATOR,
  DEVICE_SUSPENDED: ASK_OPERATOR,
  KEY_IN_USE: 'run the same command again: it makes a new key',
};

function asRefusal(error: unknown): unknown {
  if (!(error instanceof RemoteError)) return error;
  return renewalRefusal(error.reason, error.message, error) ?? error;
}

/** What the server said no with for good, with what to do about it; `undefined` for a reason that may pass. */
export function renewalRefusal(reason: string, message: string, cause?: Error): ClientError | undefined {
  const advice = Object.hasOwn(ADVICE, reason) ? ADVICE[reason] : undefined;
  if (advice === undefined) return undefined;
  return new ClientError('refused', reason, message, { advice, ...(cause === undefined ? {} : { cause }) });
}

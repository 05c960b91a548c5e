import { toBase64 } from '../../encoding/base64.js';
import type { RenewResponse } from '../../generated/palyra/controlplane/v1/node_service.js';
import type { RenewalInput } from '../../identity/renewal-request.js';
import { DomainError } from '../../errors/domain-error.js';
import type { NodeResponse } from '../../quic/node-rpc-message.js';
import { responseError } from '../../quic/response-error.js';
import { z } from 'zod';
import { ClientError, stoppedBy } from '../client-error.js';
import { bundleSchema, bytes, count } from './bundle-message.js';
import type { StoredCertificate } from './device-records.js';
import { connectNode, nodeFailure, quicEndpoints } from './node-connection.js';
import { renewalRefusal } from './renew-call.js';

const CONNECT_TIMEOUT_MS = 3_000;

/** The answer to `node.renew`; fields that a newer server adds are let pass. */
const renewedSchema = z.object({
  certificate_chain: z.array(bytes).min(1),
  trust_bundle: bundleSchema,
  issued_at_ms: count,
  expires_at_ms: count,
});

/**
 * `node.renew` on a connection with the certificate that is to be replaced. `undefined` when QUIC did not bring an answer,
 * so that the same request should go over gRPC: not reached, not admitted, the connection ended, no such method. Throws
 * `refused` when the server said no for good, `failed` for another error of the server, and what `signal` says.
 */
export async function renewOverQuic(
  certificate: StoredCertificate,
  request: RenewalInput,
  signal: AbortSignal,
): Promise<RenewResponse | undefined> {
  const answer = await ask(certificate, request, signal);
  if (signal.aborted) throw stoppedBy(signal);
  if (answer === undefined || answer.error === 'unsupported_method' || answer.error === 'stream_failure') {
    return undefined;
  }
  if (!answer.ok) {
    const error = responseError(answer);
    throw renewalRefusal(error.reason, error.message) ?? nodeFailure(error);
  }
  const renewed = renewedSchema.safeParse(answer.result);
  if (renewed.success) return messageOf(renewed.data);
  throw new ClientError('failed', 'INVALID_RESPONSE', 'the server answered node.renew in a form of its own');
}

async function ask(
  certificate: StoredCertificate,
  request: RenewalInput,
  signal: AbortSignal,
): Promise<NodeResponse | undefined> {
  try {
    const options = { connectTimeoutMs: CONNECT_TIMEOUT_MS, signal };
    const { client } = await connectNode(certificate, quicEndpoints(certificate), options);
    try {
      return await client.call('node.renew', { params: paramsOf(request), signal });
    } finally {
      await client.close();
    }
  } catch (error) {
    // gRPC verifies its server by itself; what stood in QUIC's way is not in its way.
    if (error instanceof ClientError || error instanceof DomainError) return undefined;
    throw error;
  }
}

function paramsOf({ deviceId, parent, csr, signature }: RenewalInput): object {
  return {
    device_id: deviceId,
    parent: toBase64(parent),
    csr: toBase64(csr),
    signature: toBase64(signature),
  };
}

function messageOf(renewed: z.infer<typeof renewedSchema>): RenewResponse {
  return {
    certificateChain: renewed.certificate_chain,
    bundle: renewed.trust_bundle,
    issuedAtMs: BigInt(renewed.issued_at_ms),
    expiresAtMs: BigInt(renewed.expires_at_ms),
  };
}

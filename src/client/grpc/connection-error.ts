import { ClientError } from '../client-error.js';
import type { Endpoint } from './endpoint.js';

/** Who answers at `endpoint` is not the control plane that was asked for. */
export function falseServer(endpoint: Endpoint, why: string, cause?: unknown): ClientError {
  return new ClientError(
    'refused',
    'FALSE_SERVER',
    `the server at ${endpoint.text} is not the one expected: ${why}`,
    {
      advice: 'check the address; if it is right, somebody may stand in between: do not go on',
      cause,
    },
  );
}

/** OpenSSL's verification results and Node's name check come as these codes; all else is about the way there. */
const VERIFICATION_CODES = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REJECTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** What a failed `tls.connect` means: another server (`refused`) or none (`unreachable`). */
export function connectionError(endpoint: Endpoint, error: Error): ClientError {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === undefined || VERIFICATION_CODES.has(code))
    return falseServer(endpoint, verificationText(error), error);
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_'))
    return unreachable(endpoint, 'it does not speak TLS 1.3', error);
  return unreachable(endpoint, connectionText(code), error);
}

function verificationText(error: Error): string {
  return `its certificate does not verify (${error.message})`;
}

function connectionText(code: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'nothing listens there';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the name does not resolve';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'it closed the connection';
    case 'ETIMEDOUT':
      return 'it did not answer in time';
    default:
      return code;
  }
}

export function unreachable(endpoint: Endpoint, why: string, cause?: unknown): ClientError {
  return new ClientError('unreachable', 'SERVER_UNREACHABLE', `cannot reach ${endpoint.text}: ${why}`, {
    advice: 'check the address and that the service runs',
    cause,
  });
}

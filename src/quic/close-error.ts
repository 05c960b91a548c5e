import { DomainError, type ErrorKind } from '../errors/domain-error.js';
import { CLOSE_CODE, type CloseReason } from './node-connections.js';
import type { ConnectionEnd } from './quic-connection.js';
import { TRANSPORT_ERROR } from './refusal-packet.js';

interface ErrorForm {
  readonly kind: ErrorKind;
  readonly reason: string;
  readonly message: string;
}

/** What each application close code means to a device (PROTOCOL "QUIC"). */
const FORM_OF_CLOSE: Readonly<Record<CloseReason, ErrorForm>> = {
  not_admitted: {
    kind: 'unauthenticated',
    reason: 'NOT_ADMITTED',
    message:
      'the control plane does not admit this device: it was revoked, or its certificate is not the current one; ask an operator',
  },
  busy: {
    kind: 'exhausted',
    reason: 'BUSY',
    message: 'the control plane has no place left; try again later',
  },
  revoked: { kind: 'unauthenticated', reason: 'REVOKED', message: 'this device has been revoked' },
  expired: {
    kind: 'unauthenticated',
    reason: 'EXPIRED',
    message: 'the certificate has expired; connect with a renewed one',
  },
  superseded: {
    kind: 'unauthenticated',
    reason: 'SUPERSEDED',
    message: 'a newer certificate has taken the place of this one; connect with that',
  },
  suspended: {
    kind: 'forbidden',
    reason: 'SUSPENDED',
    message: 'this device is suspended until an operator clears it',
  },
  going_away: {
    kind: 'unavailable',
    reason: 'GOING_AWAY',
    message: 'the control plane is shutting down; connect again',
  },
};

const CRYPTO_ERROR_START = 0x100;
const CRYPTO_ERROR_END = 0x1ff;

/** The TLS alerts that a certificate can bring about (RFC 8446 §6), as reasons. */
const REASON_OF_ALERT: Readonly<Record<number, string>> = {
  42: 'BAD_CERTIFICATE',
  43: 'UNSUPPORTED_CERTIFICATE',
  44: 'CERTIFICATE_REVOKED',
  45: 'CERTIFICATE_EXPIRED',
  46: 'CERTIFICATE_UNKNOWN',
  48: 'UNKNOWN_CA',
  51: 'DECRYPT_ERROR',
  116: 'CERTIFICATE_REQUIRED',
  120: 'NO_APPLICATION_PROTOCOL',
};

/** Why a connection is over, as an error that says what to do. */
export function closeError(end: ConnectionEnd): DomainError {
  const { kind, reason, message } = end.application ? applicationForm(end.code) : transportForm(end);
  return new DomainError(kind, reason, message);
}

function applicationForm(code: number | undefined): ErrorForm {
  const known = Object.entries(CLOSE_CODE).find(([, value]) => value === code);
  if (known !== undefined) return FORM_OF_CLOSE[known[0] as CloseReason];
  return {
    kind: 'unavailable',
    reason: 'CONNECTION_CLOSED',
    message: `the connection was closed with code ${code ?? 0}`,
  };
}

function transportForm({ by, code }: ConnectionEnd): ErrorForm {
  if (by === 'timeout') {
    return {
      kind: 'unavailable',
      reason: 'CONNECTION_LOST',
      message: 'the control plane does not answer any more',
    };
  }
  if (code === undefined) {
    return {
      kind: 'unavailable',
      reason: 'CONNECTION_RESET',
      message: 'the control plane has lost the connection',
    };
  }
  if (code === TRANSPORT_ERROR.connection_refused) {
    return {
      kind: 'exhausted',
      reason: 'CONNECTION_REFUSED',
      message: 'the control plane takes no connections now; try again later',
    };
  }
  if (code >= CRYPTO_ERROR_START && code <= CRYPTO_ERROR_END) return tlsForm(by, code - CRYPTO_ERROR_START);
  return { kind: 'unavailable', reason: 'TRANSPORT_ERROR', message: `QUIC transport error ${code}` };
}

function tlsForm(by: ConnectionEnd['by'], alert: number): ErrorForm {
  const reason = REASON_OF_ALERT[alert] ?? `TLS_ALERT_${alert}`;
  return by === 'local'
    ? {
        kind: 'unauthenticated',
        reason: 'FALSE_SERVER',
        message: `the server is not the control plane of this trust domain (${reason})`,
      }
    : { kind: 'unauthenticated', reason, message: `the control plane refused the certificate (${reason})` };
}

import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import type { QuicRuntimeTlsMaterial } from '../ca/trust-bundle.js';

/**
 * TLS of the gRPC door: 1.3 only, without session tickets, and with certificates that can be replaced while it serves.
 * A client certificate may be shown and is asked for, and no call is let in by it.
 */
export class RenewableServerCredentials extends ServerCredentials {
  /** @param handshakeTimeoutMs How long a caller may take over the TLS handshake. */
  constructor(material: QuicRuntimeTlsMaterial, handshakeTimeoutMs: number) {
    super(
      { requestCert: true, rejectUnauthorized: false, handshakeTimeout: handshakeTimeoutMs },
      contextOptions(material),
    );
  }

  /** New connections are served with `material` from now on; open ones go on. */
  replace(material: QuicRuntimeTlsMaterial): void {
    this.updateSecureContextOptions(contextOptions(material));
  }

  override _equals(other: ServerCredentials): boolean {
    return other === this;
  }
}

/** A renewed context forgets every option that is not repeated, so all of them stand here. */
function contextOptions(material: QuicRuntimeTlsMaterial): SecureContextOptions {
  return {
    cert: material.chain,
    key: material.key,
    ca: material.bundle,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // A resumed session would show the caller of the session that it resumes.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

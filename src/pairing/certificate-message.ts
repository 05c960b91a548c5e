import type { IssuedCertificate } from '../ca/issued-certificate.js';
import type { IssuedCertificate as ProtoCertificate } from '../generated/palyra/controlplane/v1/trust_bundle.js';

export function certificateToProto(certificate: IssuedCertificate): ProtoCertificate {
  return {
    sequence: BigInt(certificate.sequence),
    serial: Buffer.from(certificate.serial, 'hex'),
    subject: certificate.subject,
    pem: certificate.pem,
    fingerprint: Buffer.from(certificate.fingerprint, 'hex'),
    issuedAtMs: BigInt(certificate.issuedAt),
    expiresAtMs: BigInt(certificate.expiresAt),
  };
}

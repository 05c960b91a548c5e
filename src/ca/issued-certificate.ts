import type { ProfileKind } from './profiles.js';

/** Default validity of a leaf: 24 h, in milliseconds. */
export const DEFAULT_CERT_VALIDITY = 24 * 60 * 60 * 1000;

/** A certificate that was signed and has passed its own check, but is not recorded yet: it must not be let out. */
export interface SignedCertificate {
  /** 16 octets, lower-case hex. */
  readonly serial: string;
  /** RFC 4514 text. */
  readonly subject: string;
  readonly pem: string;
  readonly der: Buffer;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  /** SHA-256 of the certified key's SubjectPublicKeyInfo, lower-case hex. */
  readonly keyHash: string;
  /** Unix milliseconds. notBefore is 60 s earlier. */
  readonly issuedAt: number;
  /** notAfter, Unix milliseconds. */
  readonly expiresAt: number;
  readonly profile: ProfileKind;
  /** Whom it is for: `device/<ULID>`, `control-plane`, `ca/<key id>`. */
  readonly subjectId: string;
  /** Key id of the CA that signed it. */
  readonly issuerKeyId: string;
}

/** A certificate that is in the index; it carries no private key. Comes out of `recordIssued` only. */
export interface IssuedCertificate extends SignedCertificate {
  /** Number of the certificate among all that this store's CA issued. */
  readonly sequence: number;
}

import type { KeyObject } from 'node:crypto';
import { MAX_CSR_BYTES, type VerifiedCsr } from '../ca/csr.js';
import { spkiHash } from '../ca/public-key.js';
import { enc } from '../encoding/canonical.js';
import { malformed } from '../errors/domain-error.js';
import { verifyDeviceCsrOnPool } from './device-csr.js';
import { parseDeviceId } from './device-id.js';
import { signWithIdentity, verifyIdentitySignatureOnPool } from './ed25519.js';

/** What a device sends to renew, and what its identity key signs (docs/protocol.md, "Renewal"). The same on every door. */

const LABEL = 'palyra-renew-v2';
/** SHA-256 of the parent certificate's DER. */
export const PARENT_BYTES = 32;
/** Ed25519, RFC 8032 §5.1.6. */
export const SIGNATURE_BYTES = 64;

/** A request as it came in; nothing in it is checked. */
export interface RenewalInput {
  readonly deviceId: string;
  /** SHA-256 of the newest certificate that the device knows. */
  readonly parent: Uint8Array;
  /** PKCS#10, DER. */
  readonly csr: Uint8Array;
  readonly signature: Uint8Array;
}

declare const formChecked: unique symbol;

/** A request whose fields have the right form. Comes out of {@link parseRenewalRequest} only. */
export interface RenewalRequest {
  readonly [formChecked]: true;
  readonly deviceId: string;
  /** 32 bytes. */
  readonly parent: Buffer;
  /** PKCS#10, DER, at most 4 KiB; not parsed yet. */
  readonly csr: Buffer;
  /** 64 bytes. */
  readonly signature: Buffer;
}

declare const authentic: unique symbol;

/** A request that the identity key signed, for a key that its sender holds. Comes out of {@link verifyRenewal} only. */
export interface AuthenticRenewal {
  readonly [authentic]: true;
  readonly deviceId: string;
  /** The key that signed, 32 bytes. */
  readonly identityKey: Buffer;
  /** Lower-case hex, as fingerprints are kept. */
  readonly parent: string;
  readonly csr: VerifiedCsr;
  /** SHA-256 of the requested key's SubjectPublicKeyInfo, lower-case hex. */
  readonly keyHash: string;
}

/**
 * Checks the form, which tells nobody whether the device is known. Throws `malformed` with INVALID_DEVICE_ID,
 * INVALID_PARENT, INVALID_SIGNATURE or INVALID_CSR (size).
 */
export function parseRenewalRequest(input: RenewalInput): RenewalRequest {
  const deviceId = parseDeviceId(input.deviceId);
  if (input.parent.length !== PARENT_BYTES) {
    throw malformed('INVALID_PARENT', 'the parent is the SHA-256 of a certificate, 32 bytes');
  }
  if (input.signature.length !== SIGNATURE_BYTES) {
    throw malformed('INVALID_SIGNATURE', 'the signature of the identity key is 64 bytes');
  }
  if (input.csr.length === 0 || input.csr.length > MAX_CSR_BYTES) {
    throw malformed('INVALID_CSR', 'the certificate request is missing, or larger than 4 KiB');
  }
  const bytes = { parent: Buffer.from(input.parent), csr: Buffer.from(input.csr) };
  return { deviceId, ...bytes, signature: Buffer.from(input.signature) } as RenewalRequest;
}

/** What the identity key signs. */
export function renewalStatement(
  trustDomain: string,
  request: Pick<RenewalRequest, 'deviceId' | 'parent' | 'csr'>,
): Buffer {
  return enc(LABEL, trustDomain, request.deviceId, request.parent, request.csr);
}

/** The device's side: its request for this key, signed. Throws TypeError when `identityKey` is no Ed25519 private key. */
export function signRenewal(
  trustDomain: string,
  request: Pick<RenewalRequest, 'deviceId' | 'parent' | 'csr'>,
  identityKey: KeyObject,
): RenewalInput {
  const signature = signWithIdentity(identityKey, renewalStatement(trustDomain, request));
  return { deviceId: request.deviceId, parent: request.parent, csr: request.csr, signature };
}

/**
 * Checks the signature of the identity key (32 raw bytes), and then, for who has that key only, the PKCS#10 request; both
 * on libuv's pool. `undefined` for a wrong signature. Rejects with `malformed` as `verifyDeviceCsr` throws.
 */
export async function verifyRenewal(
  request: RenewalRequest,
  trustDomain: string,
  identityKey: Buffer,
): Promise<AuthenticRenewal | undefined> {
  const statement = renewalStatement(trustDomain, request);
  if (!(await verifyIdentitySignatureOnPool(identityKey, statement, request.signature))) return undefined;
  const csr = await verifyDeviceCsrOnPool(request.csr, identityKey);
  const { deviceId, parent } = request;
  return {
    deviceId,
    identityKey: identityKey,
    parent: parent.toString('hex'),
    csr,
    keyHash: spkiHash(csr.spki),
  } as AuthenticRenewal;
}

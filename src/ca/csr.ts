import { verify } from 'node:crypto';
import { malformed, type DomainError } from '../errors/domain-error.js';
import type { DerReader } from './der.js';
import { contextTag, DerError, openSequence, smallIntegerOf, TAG, wholeBitsOf } from './der.js';
import { verifyOnPool } from './pool-verification.js';
import {
  isOnCurve,
  readVerifyingKey,
  SIGNATURE_ALGORITHM,
  spkiHash,
  type KeyAlgorithm,
  type PublicKeyInfo,
} from './public-key.js';

declare const verified: unique symbol;

/** A PKCS#10 request whose sender holds the private key. Comes out of {@link verifyCsr} only. */
export interface VerifiedCsr {
  readonly [verified]: true;
  readonly algorithm: KeyAlgorithm;
  /** SubjectPublicKeyInfo, DER; the only thing that is taken from the request. */
  readonly spki: Buffer;
  /** The request itself. */
  readonly der: Buffer;
}

/** The largest request that is read: 4 KiB. A P-256 request with nothing in it is about 200 bytes. */
export const MAX_CSR_BYTES = 4096;

/**
 * Checks a PKCS#10 request (RFC 2986 §4): strict DER, a P-256 or Ed25519 key, and the signature that proves possession
 * of its private key. Subject, attributes and requested extensions are not looked at.
 *
 * Throws `malformed` with INVALID_CSR (size or structure), UNSUPPORTED_KEY (another algorithm or curve, a compressed
 * point), INVALID_KEY (off the curve, small order), UNSUPPORTED_SIGNATURE (another signature algorithm) or
 * CSR_SIGNATURE (it does not verify).
 */
export function verifyCsr(der: Uint8Array): VerifiedCsr {
  const claim = readClaim(der);
  const { digest, info, key, signature } = claim;
  return proven(claim, verify(digest, info, key.key, signature));
}

/** {@link verifyCsr} with the signature verified on libuv's pool; rejects as it throws. */
export async function verifyCsrOnPool(der: Uint8Array): Promise<VerifiedCsr> {
  const claim = readClaim(der);
  const { digest, info, key, signature } = claim;
  return proven(claim, await verifyOnPool(digest, info, key.key, signature));
}

/** A request that claims a key of an accepted kind, with what has to verify for it. */
interface Claim {
  readonly key: PublicKeyInfo;
  readonly digest: 'sha256' | null;
  readonly info: Buffer;
  readonly signature: Buffer;
  readonly der: Buffer;
}

function readClaim(bytes: Uint8Array): Claim {
  const { der, info, spki, signatureAlgorithm, signature } = parseRequest(bytes);
  const key = acceptedKey(spki);
  if (!signatureAlgorithm.equals(SIGNATURE_ALGORITHM[key.algorithm])) {
    throw malformed(
      'UNSUPPORTED_SIGNATURE',
      'sign the certificate request with ECDSA and SHA-256 (P-256 key) or with Ed25519 (Ed25519 key)',
    );
  }
  return { key, digest: key.algorithm === 'p256' ? 'sha256' : null, info, signature, der };
}

function proven({ key, der }: Claim, verifies: boolean): VerifiedCsr {
  if (!verifies) {
    if (!isOnCurve(key)) throw invalidKey();
    throw malformed('CSR_SIGNATURE', 'the certificate request is not signed by the key it names');
  }
  const { algorithm, spki } = key;
  return { algorithm, spki, der } as VerifiedCsr;
}

/**
 * SHA-256 of the SubjectPublicKeyInfo that a request names, lower-case hex. Checks no signature: for requests that were
 * verified before. Throws `malformed` INVALID_CSR.
 */
export function requestedKeyHash(der: Buffer): string {
  return spkiHash(parseRequest(der).spki);
}

interface ParsedRequest {
  readonly der: Buffer;
  /** CertificationRequestInfo, DER: what is signed. */
  readonly info: Buffer;
  readonly spki: Buffer;
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
}

function parseRequest(bytes: Uint8Array): ParsedRequest {
  if (bytes.length > MAX_CSR_BYTES)
    throw malformed('INVALID_CSR', 'the certificate request is larger than 4 KiB');
  const der = Buffer.from(bytes);
  try {
    const request = openSequence(der);
    const info = request.next(TAG.sequence);
    const signatureAlgorithm = request.next(TAG.sequence).raw;
    const signature = wholeBitsOf(request.next(TAG.bitString));
    request.end();
    return { der, info: info.raw, spki: keyOf(info.open()), signatureAlgorithm, signature };
  } catch (cause) {
    if (!(cause instanceof DerError)) throw cause;
    throw malformed('INVALID_CSR', 'the certificate request is not a PKCS#10 request in DER', cause);
  }
}

function keyOf(reader: DerReader): Buffer {
  if (smallIntegerOf(reader.next(TAG.integer)) !== 0) throw new DerError('unknown version');
  reader.next(TAG.sequence);
  const spki = reader.next(TAG.sequence).raw;
  reader.next(contextTag(0, true));
  reader.end();
  return spki;
}

function acceptedKey(spki: Buffer): PublicKeyInfo {
  const key = readVerifyingKey(spki);
  if (key === 'unsupported') {
    throw malformed('UNSUPPORTED_KEY', 'the key must be P-256 with an uncompressed point, or Ed25519');
  }
  if (key === 'invalid') throw invalidKey();
  return key;
}

const invalidKey = (): DomainError =>
  malformed('INVALID_KEY', 'the key is not a usable point of its curve; make a new one');

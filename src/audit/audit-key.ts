/** The Ed25519 key that signs audit heads: how it is made, kept and read. Pure. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { decodeJsonRecord, encodeJsonRecord } from '../secret-store/json-record.js';
import { newKeyPair } from '../random/key-pair.js';

export const AUDIT_KEY_NAME = 'audit-key';

const recordSchema = z.strictObject({ v: z.literal(1), privateKey: z.base64() });

/** A new key as its sealed record keeps it: PKCS#8, base64. */
export function newAuditKeyRecord(): Buffer {
  const { privateKey } = newKeyPair('ed25519');
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  return encodeJsonRecord({ privateKey: pkcs8.toString('base64') });
}

/** Throws `corrupt` when the record is not what {@link newAuditKeyRecord} writes. */
export function readAuditKeyRecord(bytes: Buffer): KeyObject {
  const { privateKey } = decodeJsonRecord(AUDIT_KEY_NAME, recordSchema, bytes);
  return createPrivateKey({ key: Buffer.from(privateKey, 'base64'), format: 'der', type: 'pkcs8' });
}

/** SPKI, DER, 44 bytes: what is shown to those who will verify heads. */
export function auditPublicKey(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
}

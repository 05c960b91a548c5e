import { generateKeyPairSync } from 'node:crypto';
import { z } from 'zod';
import type { RandomBytes } from '../random/random-bytes.js';
import { corruptRecord, decodeJsonRecord, encodeJsonRecord } from '../secret-store/json-record.js';
import { issueRoot, openIssuer, type Issuer } from './issuer.js';
import type { SignedCertificate } from './issued-certificate.js';

/** Sealed records `ca/<key id>`: each holds a CA key, its certificate, and what the key is used for. */

export const ROOT_RECORD_PREFIX = 'ca/';
export const rootRecordName = (keyId: string): string => `${ROOT_RECORD_PREFIX}${keyId}`;

/** How long a root lives: 10 years of 365 days. */
export const ROOT_LIFETIME_MS = 10 * 365 * 24 * 60 * 60 * 1000;

/** Exactly one root is `signing`; rotation (DESIGN §3) will add `prepared` and `retired`. */
export type RootState = 'signing';

/** A root as it is used: its record, opened. */
export interface Root {
  readonly state: RootState;
  readonly trustDomain: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly issuer: Issuer;
}

export interface NewRoot {
  readonly root: Root;
  /** Its certificate, to be recorded like any other. */
  readonly certificate: SignedCertificate;
  /** Content of its sealed record. Secret. */
  readonly record: Buffer;
}

/** Makes a P-256 key and the certificate of a root. The clear key is overwritten; it stays in `record` alone. */
export async function makeRoot(trustDomain: string, now: number, randomBytes: RandomBytes): Promise<NewRoot> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const order = { issuedAt: now, lifetimeMs: ROOT_LIFETIME_MS };
  const certificate = await issueRoot(pkcs8, trustDomain, order, randomBytes);
  const issuer = await openIssuer(pkcs8, certificate.der);
  const record = encodeJsonRecord({
    state: 'signing',
    trustDomain,
    createdAt: now,
    certificate: certificate.der.toString('base64'),
    privateKey: pkcs8.toString('base64'),
  });
  pkcs8.fill(0);
  return { root: { state: 'signing', trustDomain, createdAt: now, issuer }, certificate, record };
}

const bytes = z.base64().transform((text) => Buffer.from(text, 'base64'));

const schema = z.strictObject({
  v: z.literal(1),
  state: z.literal('signing'),
  trustDomain: z.string(),
  createdAt: z.int().nonnegative(),
  /** DER. */
  certificate: bytes,
  /** PKCS#8, DER. */
  privateKey: bytes,
});

/** Throws `corrupt` when the record is damaged, key and certificate do not match, or it stands under another name. */
export async function openRootRecord(name: string, record: Buffer): Promise<Root> {
  const { state, trustDomain, createdAt, certificate, privateKey } = decodeJsonRecord(name, schema, record);
  try {
    const issuer = await openIssuer(privateKey, certificate);
    if (rootRecordName(issuer.keyId) !== name) throw new Error('the record of another key');
    return { state, trustDomain, createdAt, issuer };
  } catch (cause) {
    throw corruptRecord(name, cause);
  } finally {
    privateKey.fill(0);
  }
}

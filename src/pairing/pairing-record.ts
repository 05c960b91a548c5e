import { z } from 'zod';
import { CLIENT_KINDS, type ClientKind } from '../identity/device-identity.js';
import type { Verifier } from '../spake2plus/verifier.js';
import { type CodePolicy, ORDINARY_POLICY } from './code-policy.js';
import { corruptRecord, decodeJsonRecord, encodeJsonRecord } from '../secret-store/json-record.js';

/** Names and contents of the sealed records of pairing (docs/protocol.md, "Sealed records"). */

export const codeRecordName = (codeId: string): string => `code/${codeId}`;
export const requestRecordName = (requestId: string): string => `request/${requestId}`;
/** The verifier that stands in for a code that does not exist; nobody knows a password for it. */
export const DECOY_RECORD_NAME = 'pairing-decoy';

export interface CodeRecord {
  readonly kind: 'pin' | 'link';
  readonly createdBy: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly verifier: Verifier;
  readonly policy: CodePolicy;
  /** Devices that may still pair with it; the code goes with its last use. */
  readonly usesLeft: number;
}

/** What a device proved, until somebody decides. */
export interface RequestRecord {
  readonly requestId: string;
  readonly deviceId: string;
  readonly clientKind: ClientKind;
  readonly platform: string;
  readonly identityKey: Buffer;
  /** PKCS#10, DER. */
  readonly csr: Buffer;
  /** SHA-256 of the collect token, 32 bytes. */
  readonly tokenHash: Buffer;
  readonly sourceAddress: string;
  readonly codeId: string;
  readonly codeCreatedBy: string;
  readonly createdAt: number;
  readonly expiresAt: number;
}

const bytes = z.base64().transform((text) => Buffer.from(text, 'base64'));
const unixMs = z.int().nonnegative();

const verifierSchema = z.strictObject({ w0: bytes, L: bytes, w0M: bytes, w0N: bytes });

const policySchema = z.strictObject({
  uses: z.int().positive(),
  preApproved: z.boolean(),
  clientKinds: z.array(z.enum(CLIENT_KINDS)),
  deviceIdPattern: z.string(),
});

const codeSchema = z.strictObject({
  v: z.literal(1),
  kind: z.enum(['pin', 'link']),
  createdBy: z.string(),
  createdAt: unixMs,
  expiresAt: unixMs,
  verifier: verifierSchema,
  // Codes minted before there were policies have the ordinary one.
  policy: policySchema.default(() => ({ ...ORDINARY_POLICY, clientKinds: [] })),
  usesLeft: z.int().positive().default(1),
});

const decoySchema = z.strictObject({ v: z.literal(1), verifier: verifierSchema });

const requestSchema = z.strictObject({
  v: z.literal(1),
  requestId: z.string(),
  deviceId: z.string(),
  clientKind: z.enum(CLIENT_KINDS),
  platform: z.string(),
  identityKey: bytes,
  csr: bytes,
  tokenHash: bytes,
  sourceAddress: z.string(),
  codeId: z.string(),
  codeCreatedBy: z.string(),
  createdAt: unixMs,
  expiresAt: unixMs,
});

const base64 = (buffer: Buffer): string => buffer.toString('base64');

const encodeVerifier = (verifier: Verifier): Record<string, string> => ({
  w0: base64(verifier.w0),
  L: base64(verifier.L),
  w0M: base64(verifier.w0M),
  w0N: base64(verifier.w0N),
});

export function encodeCodeRecord(record: CodeRecord): Buffer {
  return encodeJsonRecord({ ...record, verifier: encodeVerifier(record.verifier) });
}

export function decodeCodeRecord(codeId: string, sealed: Buffer): CodeRecord {
  const { v: _version, ...record } = decodeJsonRecord(codeRecordName(codeId), codeSchema, sealed);
  return record;
}

export function encodeDecoyRecord(verifier: Verifier): Buffer {
  return encodeJsonRecord({ verifier: encodeVerifier(verifier) });
}

export function decodeDecoyRecord(sealed: Buffer): Verifier {
  return decodeJsonRecord(DECOY_RECORD_NAME, decoySchema, sealed).verifier;
}

export function encodeRequestRecord(record: RequestRecord): Buffer {
  return encodeJsonRecord({
    ...record,
    identityKey: base64(record.identityKey),
    csr: base64(record.csr),
    tokenHash: base64(record.tokenHash),
  });
}

/** Throws `corrupt`, also when the record names another request than it is stored under. */
export function decodeRequestRecord(requestId: string, sealed: Buffer): RequestRecord {
  const name = requestRecordName(requestId);
  const { v: _version, ...record } = decodeJsonRecord(name, requestSchema, sealed);
  if (record.requestId !== requestId) throw corruptRecord(name);
  return record;
}

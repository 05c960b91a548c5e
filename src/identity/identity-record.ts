import { z } from 'zod';
import { corruptRecord, decodeJsonRecord, encodeJsonRecord } from '../secret-store/json-record.js';
import { CLIENT_KINDS, type DeviceIdentity } from './device-identity.js';

/** Names and contents of the registry's sealed records: UTF-8 JSON with a `v` number. */

export const deviceRecordName = (deviceId: string): string => `device/${deviceId}`;
export const deviceTombstoneName = (deviceId: string): string => `tombstone/device/${deviceId}`;
/** `fingerprint` is the SHA-256 of the identity key, lower-case hex. */
export const keyTombstoneName = (fingerprint: string): string => `tombstone/key/${fingerprint}`;

const base64Key = z.base64().transform((text) => Buffer.from(text, 'base64'));
const unixMs = z.int().nonnegative();

const certificateSchema = z.strictObject({
  fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
  // Records made before there was renewal know neither key hashes nor conflicts.
  keyHash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable()
    .default(null),
  serial: z.string().regex(/^[0-9a-f]{32}$/),
  issuedAt: unixMs,
  expiresAt: unixMs,
  firstAdmittedAt: unixMs.nullable(),
});

const deviceSchema = z.strictObject({
  v: z.literal(1),
  deviceId: z.string(),
  clientKind: z.enum(CLIENT_KINDS),
  platform: z.string(),
  identityKey: base64Key,
  pairedAt: unixMs,
  current: certificateSchema.nullable(),
  previous: certificateSchema.nullable(),
  suspendedAt: unixMs.nullable(),
  conflictAt: unixMs.nullable().default(null),
});

/** Why an id or a key is refused. */
export interface Tombstone {
  readonly deviceId: string;
  /** SHA-256 of the identity key, lower-case hex. */
  readonly identityFingerprint: string;
  readonly revokedAt: number;
  readonly revokedBy: string;
}

const tombstoneSchema = z.strictObject({
  v: z.literal(1),
  deviceId: z.string(),
  identityFingerprint: z.string().regex(/^[0-9a-f]{64}$/),
  revokedAt: unixMs,
  revokedBy: z.string(),
});

export function encodeDeviceIdentity(identity: DeviceIdentity): Buffer {
  const { identityKey, ...rest } = identity;
  return encodeJsonRecord({ ...rest, identityKey: identityKey.toString('base64') });
}

/** Throws `corrupt` when the record is not what this version writes, or names another device than it is stored under. */
export function decodeDeviceIdentity(deviceId: string, bytes: Buffer): DeviceIdentity {
  const { v: _version, ...identity } = decodeJsonRecord(deviceRecordName(deviceId), deviceSchema, bytes);
  if (identity.deviceId !== deviceId) throw corruptRecord(deviceRecordName(deviceId));
  return identity;
}

export function encodeTombstone(tombstone: Tombstone): Buffer {
  return encodeJsonRecord({ ...tombstone });
}

export function decodeTombstone(name: string, bytes: Buffer): Tombstone {
  const { v: _version, ...tombstone } = decodeJsonRecord(name, tombstoneSchema, bytes);
  return tombstone;
}

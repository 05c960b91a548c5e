import { createPrivateKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { CLIENT_KINDS, type ClientKind } from '../../identity/device-identity.js';
import { decodeJsonRecord, encodeJsonRecord } from '../../secret-store/json-record.js';
import type { StoreTime } from '../../database/unit-of-work.js';
import type { DeviceRecordName, DeviceStore, DeviceStoreReader } from './device-store.js';

/** The cluster as the device was told of it over a confirmed handshake or verified TLS. */
export interface KnownCluster extends StoreTime {
  readonly trustDomain: string;
  /** DER: the signing one first. */
  readonly roots: readonly Buffer[];
  /** `host:port`, in the order in which to try them; the one that was dialled first. */
  readonly grpcEndpoints: readonly string[];
  readonly quicEndpoints: readonly string[];
}

/** A device's id and its Ed25519 key; kept over all pairings and renewals. */
export interface StoredIdentity {
  readonly deviceId: string;
  readonly identityKey: KeyObject;
}

/** A pairing whose proof was sent, or was about to be. Saved before it is sent, so that nothing is lost after it. */
export interface PendingPairing extends StoredIdentity {
  readonly clientKind: ClientKind;
  readonly certificateKey: KeyObject;
  /** 32 bytes; secret. */
  readonly collectToken: Buffer;
  readonly cluster: KnownCluster;
  /** Unix milliseconds; afterwards it is dropped unseen. */
  readonly expiresAt: number;
}

/** The newest certificate, with its key and all that is needed to connect. */
export interface StoredCertificate {
  readonly deviceId: string;
  readonly certificateKey: KeyObject;
  /** DER, leaf first. */
  readonly chain: readonly Buffer[];
  /** SHA-256 of the leaf, lower-case hex. */
  readonly fingerprint: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  readonly cluster: KnownCluster;
}

/** A renewal that was asked for, or was about to be: its key is saved first, so that a lost answer can be had again. */
export interface PendingRenewal {
  readonly deviceId: string;
  /** SHA-256 of the certificate that it takes the place of, lower-case hex. */
  readonly parent: string;
  readonly certificateKey: KeyObject;
}

const bytes = z.base64().transform((text) => Buffer.from(text, 'base64'));
const privateKey = bytes.transform((der) => createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
const unixMs = z.number().int().nonnegative();
const version = z.literal(1);

const clusterSchema = z.strictObject({
  trustDomain: z.string(),
  roots: z.array(bytes),
  grpcEndpoints: z.array(z.string()),
  quicEndpoints: z.array(z.string()),
  epoch: unixMs,
  sequence: unixMs,
});
const identitySchema = z.strictObject({ v: version, deviceId: z.string(), identityKey: privateKey });
const pendingSchema = identitySchema.extend({
  clientKind: z.enum(CLIENT_KINDS),
  certificateKey: privateKey,
  collectToken: bytes,
  cluster: clusterSchema,
  expiresAt: unixMs,
});
const certificateSchema = z.strictObject({
  v: version,
  deviceId: z.string(),
  certificateKey: privateKey,
  chain: z.array(bytes).min(1),
  fingerprint: z.string(),
  expiresAt: unixMs,
  cluster: clusterSchema,
});

const renewalSchema = z.strictObject({
  v: version,
  deviceId: z.string(),
  parent: z.string(),
  certificateKey: privateKey,
});

/** Each throws `corrupt` when the record is there and not what it should be; absent is `undefined`. */
export const readIdentity = async (store: DeviceStoreReader): Promise<StoredIdentity | undefined> =>
  decode('identity', identitySchema, await store.read('identity'));

export const readPending = async (store: DeviceStoreReader): Promise<PendingPairing | undefined> =>
  decode('pending', pendingSchema, await store.read('pending'));

export const readCertificate = async (store: DeviceStoreReader): Promise<StoredCertificate | undefined> =>
  decode('certificate', certificateSchema, await store.read('certificate'));

export const readRenewal = async (store: DeviceStoreReader): Promise<PendingRenewal | undefined> =>
  decode('renewal', renewalSchema, await store.read('renewal'));

export async function writeRenewal(store: DeviceStore, renewal: PendingRenewal): Promise<void> {
  await writeRecord(store, 'renewal', {
    deviceId: renewal.deviceId,
    parent: renewal.parent,
    certificateKey: privateKeyText(renewal.certificateKey),
  });
}

export async function writePending(store: DeviceStore, pending: PendingPairing): Promise<void> {
  await writeRecord(store, 'pending', {
    ...identityFields(pending),
    clientKind: pending.clientKind,
    certificateKey: privateKeyText(pending.certificateKey),
    collectToken: pending.collectToken.toString('base64'),
    cluster: clusterFields(pending.cluster),
    expiresAt: pending.expiresAt,
  });
}

/**
 * Makes a pairing complete. The order is what makes it safe to be killed in between: as long as `pending` is there, the
 * next run collects again and writes the same; the identity first, so that no certificate stands without it.
 */
export async function completePairing(
  store: DeviceStore,
  identity: StoredIdentity,
  certificate: StoredCertificate,
): Promise<void> {
  await writeRecord(store, 'identity', identityFields(identity));
  await writeCertificate(store, certificate);
  // A renewal of the certificate before can come to nothing now.
  await store.delete('renewal');
  await store.delete('pending');
}

/** Puts the new certificate and its key into the place of the old ones, at once, and then drops the renewal. */
export async function completeRenewal(store: DeviceStore, certificate: StoredCertificate): Promise<void> {
  await writeCertificate(store, certificate);
  await store.delete('renewal');
}

/** Writes what the device knows of its cluster anew; certificate and key stay. */
export async function updateCluster(store: DeviceStore, certificate: StoredCertificate): Promise<void> {
  await writeCertificate(store, certificate);
}

async function writeCertificate(store: DeviceStore, certificate: StoredCertificate): Promise<void> {
  await writeRecord(store, 'certificate', {
    deviceId: certificate.deviceId,
    certificateKey: privateKeyText(certificate.certificateKey),
    chain: certificate.chain.map((der) => der.toString('base64')),
    fingerprint: certificate.fingerprint,
    expiresAt: certificate.expiresAt,
    cluster: clusterFields(certificate.cluster),
  });
}

async function writeRecord(
  store: DeviceStore,
  name: DeviceRecordName,
  fields: Readonly<Record<string, unknown>>,
): Promise<void> {
  const plaintext = encodeJsonRecord(fields);
  try {
    await store.write(name, plaintext);
  } finally {
    plaintext.fill(0);
  }
}

function decode<T>(name: string, schema: z.ZodType<T>, plaintext: Buffer | undefined): T | undefined {
  if (plaintext === undefined) return undefined;
  try {
    return decodeJsonRecord(name, schema, plaintext);
  } finally {
    plaintext.fill(0);
  }
}

function identityFields(identity: StoredIdentity): Record<string, unknown> {
  return { deviceId: identity.deviceId, identityKey: privateKeyText(identity.identityKey) };
}

function clusterFields(cluster: KnownCluster): Record<string, unknown> {
  return { ...cluster, roots: cluster.roots.map((der) => der.toString('base64')) };
}

/** PKCS#8 DER, base64. Goes nowhere but into a sealed record. */
function privateKeyText(key: KeyObject): string {
  return key.export({ format: 'der', type: 'pkcs8' }).toString('base64');
}

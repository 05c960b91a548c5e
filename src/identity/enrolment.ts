import { markRevoked, subjectsOfKey } from '../ca/certificate-index.js';
import { RowUpsert } from '../database/row-statements.js';
import type { Unit } from '../database/unit-of-work.js';
import { DomainError } from '../errors/domain-error.js';
import type { SecretReader } from '../secret-store/secret-store.js';
import { withNewCertificate } from './certificate-succession.js';
import { isDeviceId } from './device-id.js';
import type { ClientKind, DeviceCertificate, DeviceIdentity } from './device-identity.js';
import { DeviceRow } from './device.entity.js';
import {
  decodeDeviceIdentity,
  deviceRecordName,
  deviceTombstoneName,
  encodeDeviceIdentity,
  keyTombstoneName,
} from './identity-record.js';
import { identityFingerprint } from './fingerprint.js';

/** What stands against enrolling a device: the reason that approval answers with. */
export type EnrolmentConflict =
  'DEVICE_REVOKED' | 'DEVICE_SUSPENDED' | 'IDENTITY_KEY_IN_USE' | 'KEY_IN_USE' | 'IDENTITY_CHANGED';

/** A device that has proved itself and was approved. */
export interface Enrolment {
  readonly deviceId: string;
  readonly clientKind: ClientKind;
  readonly platform: string;
  /** Ed25519 public key, 32 bytes. */
  readonly identityKey: Buffer;
  readonly certificate: DeviceCertificate & { readonly keyHash: string };
}

export interface Applicant {
  readonly deviceId: string;
  readonly identityKey: Buffer;
  /** SHA-256 of the requested certificate key's SubjectPublicKeyInfo, lower-case hex. */
  readonly keyHash: string;
}

export interface EnrolmentOutlook {
  readonly conflict: EnrolmentConflict | undefined;
  /** The identity that the device id has now, whatever its key. */
  readonly known: DeviceIdentity | undefined;
}

/** Where the rule looks; inside a unit of work, or at committed state. */
interface RegistryView {
  readonly secrets: SecretReader;
  readonly tables: Unit['tables'];
}

/**
 * Reads what approval would meet (docs/protocol.md, "Decide"): revoked ids and keys, a suspension, foreign keys, a changed
 * key. That one comes last, since approval may insist on it and on nothing else.
 */
export async function enrolmentOutlook(view: RegistryView, applicant: Applicant): Promise<EnrolmentOutlook> {
  const fingerprint = identityFingerprint(applicant.identityKey);
  const known = await readIdentity(view.secrets, applicant.deviceId);
  return { known, conflict: await findConflict(view, applicant, fingerprint, known) };
}

async function findConflict(
  view: RegistryView,
  applicant: Applicant,
  fingerprint: string,
  known: DeviceIdentity | undefined,
): Promise<EnrolmentConflict | undefined> {
  if (await view.secrets.read(deviceTombstoneName(applicant.deviceId))) return 'DEVICE_REVOKED';
  if (await view.secrets.read(keyTombstoneName(fingerprint))) return 'DEVICE_REVOKED';
  const owner = await view.tables.findOneBy(DeviceRow, { identityFingerprint: fingerprint });
  if (owner !== null && owner.deviceId !== applicant.deviceId) return 'IDENTITY_KEY_IN_USE';
  // Only an admin ends a suspension: pairing anew must not, and least of all with another key.
  if (known !== undefined && known.suspendedAt !== null) return 'DEVICE_SUSPENDED';
  if (await isKeyOfAnother(view, applicant.keyHash, applicant.deviceId)) return 'KEY_IN_USE';
  if (known !== undefined && !known.identityKey.equals(applicant.identityKey)) return 'IDENTITY_CHANGED';
  return undefined;
}

/**
 * Whether a certificate that another device may use is for this key. The index finds the candidates and their sealed
 * records decide, so that a row that somebody wrote keeps no key out.
 */
export async function isKeyOfAnother(
  view: RegistryView,
  keyHash: string,
  deviceId: string,
): Promise<boolean> {
  const own = deviceRecordName(deviceId);
  for (const subjectId of await subjectsOfKey(view, keyHash)) {
    const [kind, otherId = ''] = subjectId.split('/');
    if (kind !== 'device' || subjectId === own || !isDeviceId(otherId)) continue;
    const other = await readIdentity(view.secrets, otherId);
    if (other?.current?.keyHash === keyHash || other?.previous?.keyHash === keyHash) return true;
  }
  return false;
}

const CONFLICT_TEXT: Record<EnrolmentConflict, string> = {
  DEVICE_REVOKED:
    'this device id or its identity key was revoked; run `palyra devices clear` on it first if it may come back',
  DEVICE_SUSPENDED:
    'this device is suspended; find out why, then run `palyra devices clear` or `palyra devices revoke` on it',
  IDENTITY_KEY_IN_USE: 'this identity key belongs to another device id; one of the two devices is a copy',
  KEY_IN_USE: 'the certificate key belongs to another device; pair again, which makes a new one',
  IDENTITY_CHANGED:
    'this device id is known with another identity key; approve with --replace-identity only if you know that the device was set up anew',
};

export function conflictError(conflict: EnrolmentConflict): DomainError {
  return new DomainError('wrong_state', conflict, CONFLICT_TEXT[conflict]);
}

export interface EnrolmentOptions {
  readonly replaceIdentity: boolean;
  readonly now: number;
  /** Fingerprints of certificates of the device that nobody has collected: they end with this enrolment. */
  readonly withdrawn: readonly string[];
}

export interface EnrolmentResult {
  /** Whether the enrolment ended an identity with another key. */
  readonly replacedIdentity: boolean;
  /** Certificates that the device may use now; connections with others must be closed once this is committed. */
  readonly fingerprints: readonly string[];
}

/**
 * Writes the identity and its index row in the unit that decides. Throws `wrong_state` with the conflict as its reason;
 * `IDENTITY_CHANGED` only without `replaceIdentity`.
 */
export async function enrolDevice(
  unit: Unit,
  enrolment: Enrolment,
  options: EnrolmentOptions,
): Promise<EnrolmentResult> {
  const { deviceId, identityKey, certificate } = enrolment;
  const applicant = { deviceId, identityKey, keyHash: certificate.keyHash };
  const { conflict, known } = await enrolmentOutlook(unit, applicant);
  const replacing = conflict === 'IDENTITY_CHANGED' && options.replaceIdentity;
  if (conflict !== undefined && !replacing) throw conflictError(conflict);
  if (replacing) {
    // The new certificate is in the index already.
    const mark = { at: options.now, reason: 'superseded', except: certificate.fingerprint } as const;
    await markRevoked(unit, deviceRecordName(deviceId), mark);
  }

  const sameKey = known !== undefined && !replacing;
  const identity = sameKey
    ? { ...withNewCertificate(known, certificate, options.withdrawn), ...described(enrolment) }
    : newIdentity(enrolment, options.now);
  await writeIdentity(unit, identity);
  return { replacedIdentity: replacing, fingerprints: certificatesOf(identity) };
}

const described = (enrolment: Enrolment): Pick<DeviceIdentity, 'clientKind' | 'platform'> => ({
  clientKind: enrolment.clientKind,
  platform: enrolment.platform,
});

function newIdentity(enrolment: Enrolment, now: number): DeviceIdentity {
  return {
    deviceId: enrolment.deviceId,
    ...described(enrolment),
    identityKey: enrolment.identityKey,
    pairedAt: now,
    current: enrolment.certificate,
    previous: null,
    suspendedAt: null,
    conflictAt: null,
  };
}

/** Fingerprints of the certificates that the device may use, newest first. */
export const certificatesOf = (identity: DeviceIdentity | undefined): string[] =>
  [identity?.current, identity?.previous].flatMap((certificate) => certificate?.fingerprint ?? []);

export async function readIdentity(
  secrets: SecretReader,
  deviceId: string,
): Promise<DeviceIdentity | undefined> {
  const bytes = await secrets.read(deviceRecordName(deviceId));
  return bytes === undefined ? undefined : decodeDeviceIdentity(deviceId, bytes);
}

const upsertDevice = new RowUpsert(DeviceRow, 'deviceId');

/** Writes the sealed record and the row that indexes it. */
export async function writeIdentity(unit: Unit, identity: DeviceIdentity): Promise<void> {
  await unit.secrets.write(deviceRecordName(identity.deviceId), encodeDeviceIdentity(identity));
  await upsertDevice.run(unit.tables, {
    deviceId: identity.deviceId,
    state: identity.suspendedAt === null ? 'active' : 'suspended',
    clientKind: identity.clientKind,
    platform: identity.platform,
    identityFingerprint: identityFingerprint(identity.identityKey),
    pairedAt: identity.pairedAt,
    certificateFingerprint: identity.current?.fingerprint ?? null,
    certificateExpiresAt: identity.current?.expiresAt ?? null,
    conflictAt: identity.conflictAt,
    revokedAt: null,
    revokedBy: null,
    revokeReason: null,
  });
}

/** Takes away an identity that was approved and never collected; nothing of it stays. */
export async function withdrawIdentity(unit: Unit, deviceId: string): Promise<void> {
  await unit.secrets.delete(deviceRecordName(deviceId));
  await unit.tables.delete(DeviceRow, { deviceId });
}

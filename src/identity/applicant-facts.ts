import type { EntityManager } from 'typeorm';
import type { SecretReader } from '../secret-store/secret-store.js';
import { DeviceRow } from './device.entity.js';
import { deviceTombstoneName, keyTombstoneName } from './identity-record.js';

/** What the registry knows of the id and the key of a device that wants in, whatever an approval would say to it. */
export interface ApplicantFacts {
  readonly deviceIdRevoked: boolean;
  readonly keyRevoked: boolean;
  /** Another device id to which the identity key belongs. */
  readonly keyOwner: string | undefined;
}

/** @param fingerprint SHA-256 of the identity key, lower-case hex. */
export async function applicantFacts(
  view: { readonly secrets: SecretReader; readonly tables: EntityManager },
  deviceId: string,
  fingerprint: string,
): Promise<ApplicantFacts> {
  const owner = await view.tables.findOneBy(DeviceRow, { identityFingerprint: fingerprint });
  return {
    deviceIdRevoked: (await view.secrets.read(deviceTombstoneName(deviceId))) !== undefined,
    keyRevoked: (await view.secrets.read(keyTombstoneName(fingerprint))) !== undefined,
    keyOwner: owner === null || owner.deviceId === deviceId ? undefined : owner.deviceId,
  };
}

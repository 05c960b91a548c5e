import type { MigrationInterface } from 'typeorm';
import { AuditEntryRow, AuditHeadRow } from '../audit/audit.entity.js';
import { CertificateRow } from '../ca/certificate.entity.js';
import { CrlRow, RevocationRow } from '../ca/crl/revocation.entity.js';
import { DeviceRow } from '../identity/device.entity.js';
import { PairingCodeRow, PairingRequestRow, PairingTryRow } from '../pairing/pairing.entity.js';
import { DevicePresenceRow } from '../presence/presence.entity.js';
import { SecretRow } from '../secret-store/secret.entity.js';
import { AddDeviceEvents1780000000610 } from './migrations/add-device-events.js';
import { AddDeviceRequests1780000000520 } from './migrations/add-device-requests.js';
import { AddInventory1780000000430 } from './migrations/add-inventory.js';
import { AddRenewal1780000000310 } from './migrations/add-renewal.js';
import { AddRevocation1780000000420 } from './migrations/add-revocation.js';
import { AddPresence1780000000620 } from './migrations/add-presence.js';
import { CreateCertificate1780000000200 } from './migrations/create-certificate.js';
import { CreateRegistry1780000000100 } from './migrations/create-registry.js';
import { CreateStore1780000000000 } from './migrations/create-store.js';
import { StoreRow } from './store.entity.js';

/** All tables. Each feature adds the classes of its `*.entity.ts` here, and a migration below that makes them. */
export const entities: readonly (new () => object)[] = [
  StoreRow,
  SecretRow,
  AuditEntryRow,
  AuditHeadRow,
  DeviceRow,
  CertificateRow,
  RevocationRow,
  CrlRow,
  PairingCodeRow,
  PairingTryRow,
  PairingRequestRow,
  DevicePresenceRow,
];

/**
 * All migrations, oldest first; `src/database/migrations/` holds them. A class name ends with a time in Unix
 * milliseconds, higher than that of the one before. Released migrations are never changed. A test compares what they
 * make with what the entities say.
 */
export const migrations: readonly (new () => MigrationInterface)[] = [
  CreateStore1780000000000,
  CreateRegistry1780000000100,
  CreateCertificate1780000000200,
  AddRenewal1780000000310,
  AddRevocation1780000000420,
  AddInventory1780000000430,
  AddDeviceRequests1780000000520,
  AddDeviceEvents1780000000610,
  AddPresence1780000000620,
];

import { createHash } from 'node:crypto';
import { recordIssued } from '../../src/ca/certificate-index.js';
import { makeCsr } from '../../src/ca/csr-maker.js';
import { verifyCsr } from '../../src/ca/csr.js';
import { DEFAULT_CERT_VALIDITY } from '../../src/ca/issued-certificate.js';
import { newCertificateKey } from '../../src/client/device/device-keys.js';
import { deviceCertificate } from '../../src/identity/device-identity.js';
import { rawIdentityKey } from '../../src/identity/ed25519.js';
import { enrolDevice } from '../../src/identity/enrolment.js';
import { RefusalLimits } from '../../src/identity/refusal-limits.js';
import { RenewalAllowance } from '../../src/identity/renewal-allowance.js';
import { type RenewalInput, signRenewal } from '../../src/identity/renewal-request.js';
import type { RenewalPolicy } from '../../src/identity/renewal-rule.js';
import { type RenewedCertificate, Renewals } from '../../src/identity/renewals.js';
import { type PairingWorld, type TestDevice, newTestDevice } from './pairing-world.js';

const DAY_MS = 86_400_000;
export const DEVICE_ADDRESS = '198.51.100.7';

export interface RenewalOptions {
  readonly policy?: Partial<RenewalPolicy>;
  readonly refusalsPerMinute?: number;
  readonly newPerHour?: number;
}

/** Renewals on the store, CA and clock of a world. */
export function renewalsOf(world: PairingWorld, options: RenewalOptions = {}): Renewals {
  const { authority, clock, connections } = world;
  const { unitOfWork, committed } = world.temporary.store;
  return new Renewals({
    unitOfWork,
    committed,
    clock,
    authority,
    connections,
    limits: new RefusalLimits(options.refusalsPerMinute ?? 1e6, clock),
    allowance: new RenewalAllowance(options.newPerHour ?? 1e6, DEFAULT_CERT_VALIDITY, clock),
    policy: { returnGraceMs: 30 * DAY_MS, onConflict: 'suspend', restoredAt: null, ...options.policy },
    certificateLifetimeMs: DEFAULT_CERT_VALIDITY,
  });
}

/** A device that holds what its directory would: keys, its newest certificate, and a request that is under way. */
export class RenewingDevice {
  #pendingCsr: Buffer | undefined;

  constructor(
    readonly of: TestDevice,
    public newest: string,
  ) {}

  /** Enrols a new device, without the handshake. */
  static async enrolled(world: PairingWorld): Promise<RenewingDevice> {
    const device = newTestDevice();
    const { deviceId } = device;
    const csr = verifyCsr(device.csr);
    const newest = await world.temporary.store.unitOfWork.run(async (unit) => {
      const order = { deviceId, csr, lifetimeMs: DEFAULT_CERT_VALIDITY };
      const issued = await recordIssued(unit, await world.authority.issueDeviceCertificate(order));
      const enrolment = {
        deviceId,
        clientKind: 'node',
        platform: '',
        identityKey: rawIdentityKey(device.identityKey),
        certificate: deviceCertificate(issued),
      } as const;
      await enrolDevice(unit, enrolment, { replaceIdentity: false, now: world.clock.now(), withdrawn: [] });
      return issued.fingerprint;
    });
    return new RenewingDevice(device, newest);
  }

  /** A copy of its directory. */
  clone(): RenewingDevice {
    const copy = new RenewingDevice(this.of, this.newest);
    copy.#pendingCsr = this.#pendingCsr;
    return copy;
  }

  /** The request under way, or one for a new key. */
  request(world: PairingWorld): RenewalInput {
    this.#pendingCsr ??= makeCsr(newCertificateKey());
    return this.requestFor(world, this.#pendingCsr);
  }

  requestFor(world: PairingWorld, csr: Buffer, identityKey = this.of.identityKey): RenewalInput {
    const parent = Buffer.from(this.newest, 'hex');
    return signRenewal(world.authority.trustDomain, { deviceId: this.of.deviceId, parent, csr }, identityKey);
  }

  /** Asks, and keeps the answer unless it is lost on its way. */
  async renew(world: PairingWorld, renewals: Renewals, lost = false): Promise<RenewedCertificate> {
    const renewed = await renewals.renew(this.request(world), DEVICE_ADDRESS);
    if (!lost) {
      this.newest = fingerprintOf(renewed);
      this.#pendingCsr = undefined;
    }
    return renewed;
  }
}

export const fingerprintOf = ({ chain }: RenewedCertificate): string =>
  createHash('sha256').update(chain[0]!).digest('hex');

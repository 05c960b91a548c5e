import { randomBytes, type KeyObject } from 'node:crypto';
import { CertificateAuthority } from '../src/ca/certificate-authority.js';
import { recordIssued } from '../src/ca/certificate-index.js';
import { fixTrustDomain } from '../src/ca/cluster-record.js';
import { makeCsr } from '../src/ca/csr-maker.js';
import { verifyCsr } from '../src/ca/csr.js';
import { DEFAULT_CERT_VALIDITY } from '../src/ca/issued-certificate.js';
import { encodePem } from '../src/ca/pem.js';
import { trustBundlePem, type QuicRuntimeTlsMaterial } from '../src/ca/trust-bundle.js';
import { openStore } from '../src/database/open-store.js';
import type { Unit } from '../src/database/unit-of-work.js';
import { deviceCertificate } from '../src/identity/device-identity.js';
import { newDeviceId } from '../src/identity/device-id.js';
import { rawIdentityKey } from '../src/identity/ed25519.js';
import { enrolDevice } from '../src/identity/enrolment.js';
import { systemRandomBytes } from '../src/random/random-bytes.js';
import { systemClock } from '../src/time/clock.js';
import { newKeyPair } from '../src/random/key-pair.js';

/** What the service must be started with on such a store. */
export const BENCH_TRUST_DOMAIN = 'bench.palyra.internal';

/** A device as after its pairing, with the keys that only it has. */
export interface EnrolledDevice {
  readonly deviceId: string;
  readonly identityKey: KeyObject;
  /** DER of its certificate. */
  readonly certificate: Buffer;
  /** Certificate chain and its key, PEM, as a QUIC client takes them. */
  readonly identity: { readonly chain: string; readonly key: string };
}

/**
 * Makes a store as the service makes it, with `count` devices that have paired; `roots` is the bundle as PEM, `server` is
 * for a server that is not the service.
 */
export async function makeStoreWithDevices(
  dataDir: string,
  count: number,
): Promise<{ roots: string; devices: EnrolledDevice[]; server: QuicRuntimeTlsMaterial }> {
  const store = await openStore({ dataDir, masterKey: { kind: 'default-key-file' } });
  try {
    return await store.unitOfWork.run(async (unit) => {
      const trustDomain = await fixTrustDomain(unit, BENCH_TRUST_DOMAIN, systemRandomBytes);
      const authority = await CertificateAuthority.createOrLoad(unit, { trustDomain, clock: systemClock });
      const devices: EnrolledDevice[] = [];
      while (devices.length < count) devices.push(await enrolOne(unit, authority));
      const order = { names: [], lifetimeMs: DEFAULT_CERT_VALIDITY };
      const server = (await authority.issueControlPlaneCertificate(order)).material;
      return { roots: trustBundlePem(authority.trustBundle()), devices, server };
    });
  } finally {
    await store.close();
  }
}

async function enrolOne(unit: Unit, authority: CertificateAuthority): Promise<EnrolledDevice> {
  const deviceId = newDeviceId(systemClock, randomBytes);
  const identity = newKeyPair('ed25519');
  const { privateKey } = newKeyPair('p256');
  const order = { deviceId, csr: verifyCsr(makeCsr(privateKey)), lifetimeMs: DEFAULT_CERT_VALIDITY };
  const issued = await recordIssued(unit, await authority.issueDeviceCertificate(order));
  const enrolment = {
    deviceId,
    clientKind: 'node',
    platform: 'linux',
    identityKey: rawIdentityKey(identity.publicKey),
    certificate: deviceCertificate(issued),
  } as const;
  await enrolDevice(unit, enrolment, { replaceIdentity: false, now: systemClock.now(), withdrawn: [] });
  const chain = authority.chainOf(issued.der).map((der) => encodePem('CERTIFICATE', der));
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  return {
    deviceId,
    identityKey: identity.privateKey,
    certificate: issued.der,
    identity: { chain: chain.join(''), key },
  };
}

import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { CertificateAuthority } from '../../src/ca/certificate-authority.js';
import { verifyCsr } from '../../src/ca/csr.js';
import { DomainError } from '../../src/errors/domain-error.js';
import { Collection } from '../../src/pairing/collection.js';
import { PairingHousekeeping } from '../../src/pairing/housekeeping.js';
import { RequestChanges } from '../../src/pairing/request-changes.js';
import { ServiceHolds } from '../../src/service-holds/service-holds.js';
import { PairingWorld, admin, newTestDevice, refusal } from './pairing-world.js';

const DAY_MS = 86_400_000;

let world: PairingWorld;
beforeEach(async () => {
  world = await PairingWorld.open();
});
afterEach(async () => {
  await world.remove();
});

/** Housekeeping and collection of a service that something holds up. */
function held(holds: ServiceHolds): { housekeeping: PairingHousekeeping; collection: Collection } {
  const { unitOfWork, committed } = world.temporary.store;
  const { clock } = world;
  const changes = new RequestChanges();
  const observer = { pairingEnded: () => undefined, pairingDecided: () => undefined };
  const housekeeping = new PairingHousekeeping({ unitOfWork, committed, clock, changes, observer, holds });
  const chainOf = (leaf: Buffer, issuerKeyId: string) => world.authority.chainOf(leaf, issuerKeyId);
  const collection = new Collection({ unitOfWork, committed, clock, changes, housekeeping, chainOf, holds });
  return { housekeeping, collection };
}

async function firstState(collection: Collection, token: Buffer): Promise<string> {
  const { signal } = new AbortController();
  for await (const { state } of collection.watch(token, '198.51.100.7', signal)) return state;
  throw new Error('nothing was said');
}

it('what a wrong clock takes for over neither expires nor goes, and a device is told to come again', async () => {
  await world.codes.mint(admin, { kind: 'pin' });
  const approved = await world.paired();
  await world.approve(approved.requestId);
  const completed = await world.paired();
  await world.approve(completed.requestId);
  expect((await world.collectOnce(completed.token)).state).toBe('completed');
  const waiting = await world.paired();
  await world.housekeeping.run();
  const before = await world.actions();

  const holds = new ServiceHolds();
  holds.raise({ reason: 'TEST_HOLD', stops: ['pruning'], message: 'wait' });
  const { housekeeping, collection } = held(holds);
  world.clock.advance(40 * DAY_MS);
  await housekeeping.run();
  for (const { token } of [approved, completed, waiting]) {
    const refused = await refusal(firstState(collection, token));
    expect(refused).toMatchObject({ kind: 'unavailable', reason: 'TEST_HOLD' });
  }
  expect(await world.actions()).toEqual(before);

  holds.lift('TEST_HOLD');
  await housekeeping.run();
  const after = (await world.actions()).slice(before.length).sort();
  expect(after).toEqual(['pairing.code_expired', 'pairing.expired', 'pairing.expired']);
});

it('the CA itself asks before each signature', async () => {
  const held = (): never => {
    throw new DomainError('unavailable', 'TEST_HOLD', 'wait');
  };
  const { authority, clock, temporary } = world;
  const { trustDomain } = authority;
  const stopped = await temporary.store.unitOfWork.run((unit) =>
    CertificateAuthority.createOrLoad(unit, { trustDomain, clock, requireIssuance: held }),
  );
  const { deviceId, csr } = newTestDevice();
  const order = { deviceId, csr: verifyCsr(csr), lifetimeMs: DAY_MS };
  expect((await refusal(stopped.issueDeviceCertificate(order))).reason).toBe('TEST_HOLD');
  const server = stopped.issueControlPlaneCertificate({ names: [], lifetimeMs: DAY_MS });
  expect((await refusal(server)).reason).toBe('TEST_HOLD');
});

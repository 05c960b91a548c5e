import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parseCertificate } from '../../src/ca/certificate-parser.js';
import { verifyDeviceChain } from '../../src/ca/chain-verification.js';
import { decodeCertificates } from '../../src/ca/pem.js';
import { spkiHash } from '../../src/ca/public-key.js';
import { CaFollower } from '../../src/ca/rotation/ca-follower.js';
import type { ShownRoot } from '../../src/ca/rotation/ca-rotation.js';
import { ServerCertificates } from '../../src/ca/server-certificates.js';
import { trustBundlePem } from '../../src/ca/trust-bundle.js';
import { operatorCredential } from '../../src/client/operator-credential.js';
import { parseCodeOrLink } from '../../src/pairing/protocol/link.js';
import { auditFindings } from '../store/audit-findings.js';
import { admin, DAY_MS, RotationWorld, TRUST_DOMAIN } from './rotation-world.js';

let world: RotationWorld;

beforeEach(async () => {
  world = await RotationWorld.open();
});

afterEach(async () => {
  expect(world.failures).toEqual([]);
  expect(await auditFindings(world.temporary.store)).toEqual([]);
  await world.remove();
});

const states = async (): Promise<string[]> => (await world.rotation.list()).map(({ root }) => root.state);
const certificateOf = ({ root }: ShownRoot): Buffer => root.issuer.certificate.der;
const bundle = (): readonly Buffer[] => world.authority.trustBundle().roots;
const serverChain = (): Buffer[] => decodeCertificates(world.server().chain);
const adminToken = async (): Promise<string> =>
  (await readFile(join(world.temporary.dataDir, 'admin-token'), 'utf8')).trim();

/** Names what stands in a chain: `leaf of B`, `B by A` for a cross-certificate, `A` for a root. */
function described(chain: readonly Buffer[], roots: Readonly<Record<string, Buffer>>): string[] {
  const names = Object.entries(roots).map(([name, der]) => ({
    name,
    subject: parseCertificate(der).subject,
  }));
  const nameOf = (subject: Buffer): string | undefined =>
    names.find((known) => known.subject.equals(subject))?.name;
  return chain.map((der) => {
    const { subject, issuer } = parseCertificate(der);
    const [of, by] = [nameOf(subject), nameOf(issuer) ?? '?'];
    if (of === undefined) return `leaf of ${by}`;
    return of === by ? of : `${of} by ${by}`;
  });
}

/** Goes to the state in which the first root is retired. */
async function rotated(): Promise<{ A: Buffer; B: Buffer }> {
  const A = world.authority.signingRoot;
  world.clock.advance(1000);
  const B = certificateOf(await world.rotation.prepare(admin, ''));
  await world.rotation.activate(admin, '', '');
  world.clock.advance(DAY_MS + 1000);
  await world.replica.certificates.renewDue();
  await world.rotation.retire(admin, '', '');
  return { A, B };
}

describe('a rotation', () => {
  it('goes from prepared over signing and retiring to retired', async () => {
    const A = world.authority.signingRoot;
    expect(await states()).toEqual(['signing']);
    const before = serverChain();

    const prepared = await world.rotation.prepare(admin, 'ten years are over');
    const B = certificateOf(prepared);
    expect(await states()).toEqual(['signing', 'prepared']);
    expect(bundle()).toEqual([A, B]);
    expect(serverChain()).toEqual(before);
    expect(decodeCertificates(world.server().bundle)).toEqual([A, B]);

    const activated = await world.rotation.activate(admin, prepared.root.issuer.keyId, '');
    expect(certificateOf(activated)).toEqual(B);
    expect(await states()).toEqual(['signing', 'retiring']);
    expect(bundle()).toEqual([B, A]);
    expect(described(serverChain(), { A, B })).toEqual(['leaf of B', 'B by A', 'B', 'A']);
    expect((await world.device()).issuerKeyId).toBe(prepared.root.issuer.keyId);

    world.clock.advance(DAY_MS + 1000);
    await world.replica.certificates.renewDue();
    const retired = await world.rotation.retire(admin, '', '');
    expect(certificateOf(retired)).toEqual(A);
    expect(retired.shownUntil).toBe(world.clock.now() + 30 * DAY_MS);
    expect(await states()).toEqual(['signing', 'retired']);
    expect(bundle()).toEqual([B]);
    expect(described(serverChain(), { A, B })).toEqual(['leaf of B', 'B by A', 'B', 'A']);
    expect(decodeCertificates(world.server().bundle)).toEqual([B]);
    expect(await world.actions()).toEqual(['ca.created', 'ca.prepared', 'ca.activated', 'ca.retired']);
  });

  it('is the same after a restart at every step', async () => {
    const steps = [
      () => world.rotation.prepare(admin, ''),
      () => world.rotation.activate(admin, '', ''),
      () => {
        world.clock.advance(DAY_MS + 1000);
        return world.rotation.retire(admin, '', '');
      },
    ];
    for (const step of steps) {
      await step();
      const again = await world.secondReplica();
      expect(again.authority.roots.version).toBe(world.authority.roots.version);
      expect(again.authority.trustBundle()).toEqual(world.authority.trustBundle());
      await again.certificates.stop();
    }
  });

  it('publishes the bundle as ca.pem at each step', async () => {
    const published = (): Promise<string> => readFile(join(world.temporary.dataDir, 'ca.pem'), 'ascii');
    await world.rotation.prepare(admin, '');
    expect(await published()).toBe(trustBundlePem(world.authority.trustBundle()));
    expect(decodeCertificates(await published())).toHaveLength(2);
    await world.rotation.activate(admin, '', '');
    expect(await published()).toBe(trustBundlePem(world.authority.trustBundle()));
  });

  it('keeps the certificate of a door that it need not change, and changes it when another root signs', async () => {
    const leaf = (): Buffer | undefined => serverChain()[0];
    const told: string[] = [];
    world.replica.certificates.onRenewed((door) => told.push(door));
    const before = leaf();
    await world.rotation.prepare(admin, '');
    expect(leaf()).toEqual(before);
    await world.rotation.activate(admin, '', '');
    expect(leaf()).not.toEqual(before);
    expect(told).toEqual(['grpc', 'quic', 'grpc', 'quic']);
  });

  it('audits who took each step, and why', async () => {
    const { root } = await world.rotation.prepare(admin, 'because');
    const entries = await world.temporary.store.auditLog.entries({ after: 0, limit: 1000 });
    expect(entries.find(({ action }) => action === 'ca.prepared')).toMatchObject({
      actor: 'operator/7zk4m9qx',
      source: '192.0.2.10',
      subject: `ca/${root.issuer.keyId}`,
      reason: 'because',
    });
  });

  it('answers a step that was taken before the same again, and writes nothing', async () => {
    const { root } = await world.rotation.prepare(admin, '');
    const { keyId } = root.issuer;
    const old = world.authority.keyId;
    await world.rotation.activate(admin, keyId, '');
    world.clock.advance(DAY_MS + 1000);
    await world.rotation.retire(admin, old, '');
    const at = world.temporary.store.storeTime();
    expect((await world.rotation.activate(admin, keyId, '')).root.state).toBe('signing');
    expect((await world.rotation.retire(admin, old, '')).root.state).toBe('retired');
    expect(world.temporary.store.storeTime()).toEqual(at);
  });
});

describe('what stands against a step', () => {
  const refused = (reason: string, kind = 'wrong_state') => expect.objectContaining({ kind, reason });

  it('is a root that is prepared already, or none', async () => {
    await expect(world.rotation.activate(admin, '', '')).rejects.toEqual(
      refused('ROOT_NOT_FOUND', 'not_found'),
    );
    await world.rotation.prepare(admin, '');
    await expect(world.rotation.prepare(admin, '')).rejects.toEqual(refused('ROOT_PREPARED'));
    await expect(world.rotation.retire(admin, '', '')).rejects.toEqual(
      refused('ROOT_NOT_FOUND', 'not_found'),
    );
    await expect(world.rotation.activate(admin, '0'.repeat(40), '')).rejects.toEqual(
      refused('ROOT_NOT_FOUND', 'not_found'),
    );
  });

  it('is the state of the root', async () => {
    const old = world.authority.keyId;
    await expect(world.rotation.retire(admin, old, '')).rejects.toEqual(refused('ROOT_STATE'));
    await world.rotation.prepare(admin, '');
    await world.rotation.activate(admin, '', '');
    await expect(world.rotation.activate(admin, old, '')).rejects.toEqual(refused('ROOT_STATE'));
  });

  it('is a certificate under the old root, and the refusal says until when', async () => {
    await world.rotation.prepare(admin, '');
    const lasting = await world.device(3 * DAY_MS);
    await world.rotation.activate(admin, '', '');
    const [, old] = await world.rotation.list();
    expect(old?.neededUntil).toBe(lasting.expiresAt);
    await expect(world.rotation.retire(admin, '', '')).rejects.toMatchObject({
      reason: 'ROOT_IN_USE',
      message: expect.stringContaining(new Date(lasting.expiresAt).toISOString()),
    });
    world.clock.advance(lasting.expiresAt - world.clock.now());
    await expect(world.rotation.retire(admin, '', '')).rejects.toEqual(refused('ROOT_IN_USE'));
    world.clock.advance(1);
    expect((await world.rotation.retire(admin, '', '')).root.state).toBe('retired');
  });

  it('is a live link that pins the old root, and a new one is none', async () => {
    await world.rotation.prepare(admin, '');
    world.clock.advance(60_000);
    const link = await world.codes.mint(admin, { kind: 'link' });
    await world.rotation.activate(admin, '', '');
    world.clock.advance(DAY_MS - 60_000);
    await world.replica.certificates.renewDue();
    await world.codes.mint(admin, { kind: 'link' });
    await expect(world.rotation.retire(admin, '', '')).rejects.toMatchObject({
      reason: 'ROOT_IN_USE',
      message: expect.stringContaining(
        `link that names it expires at ${new Date(link.code.expiresAt).toISOString()}`,
      ),
    });
    await world.codes.withdraw(admin, link.code.codeId, '');
    world.clock.advance(1000);
    expect((await world.rotation.retire(admin, '', '')).root.state).toBe('retired');
  });

  it('is nothing for a prepared root that is given up', async () => {
    const { root } = await world.rotation.prepare(admin, '');
    const given = await world.rotation.retire(admin, root.issuer.keyId, '');
    expect(given.root.state).toBe('retired');
    expect(await states()).toEqual(['signing']);
    expect(bundle()).toHaveLength(1);
    expect((await world.rotation.prepare(admin, '')).root.issuer.keyId).not.toBe(root.issuer.keyId);
  });
});

describe('the way from an old root', () => {
  it('is shown until the grace is over, and then forgotten with its key', async () => {
    const { A, B } = await rotated();
    world.clock.advance(30 * DAY_MS - 1);
    await world.replica.certificates.refresh();
    expect(described(serverChain(), { A, B })).toEqual(['leaf of B', 'B by A', 'B', 'A']);
    expect(await world.rotation.forgetRetired()).toBe(0);
    world.clock.advance(1);
    await world.replica.certificates.refresh();
    expect(described(serverChain(), { A, B })).toEqual(['leaf of B', 'B']);
    // A clock that is not believed must not decide that the grace is over.
    world.isHeldUp = true;
    expect(await world.rotation.forgetRetired()).toBe(0);
    expect(await world.temporary.store.committed.secrets.list('ca/')).toHaveLength(2);
    world.isHeldUp = false;
    expect(await world.rotation.forgetRetired()).toBe(1);
    expect(await states()).toEqual(['signing']);
    expect(await world.temporary.store.committed.secrets.list('ca/')).toHaveLength(1);
    expect((await world.actions()).at(-1)).toBe('ca.forgotten');
  });

  it('is the only one in a chain: the next root waits until it is not shown any more', async () => {
    await world.rotation.prepare(admin, '');
    await world.rotation.activate(admin, '', '');
    const tooSoon = { kind: 'wrong_state', reason: 'ROTATION_TOO_SOON' };
    await expect(world.rotation.prepare(admin, '')).rejects.toMatchObject(tooSoon);
    world.clock.advance(DAY_MS + 1000);
    await world.replica.certificates.renewDue();
    await world.rotation.retire(admin, '', '');
    world.clock.advance(30 * DAY_MS - 1);
    await expect(world.rotation.prepare(admin, '')).rejects.toMatchObject(tooSoon);
    world.clock.advance(1);
    const B = world.authority.signingRoot;
    const prepared = await world.rotation.prepare(admin, '');
    await world.rotation.activate(admin, '', '');
    const C = certificateOf(prepared);
    expect(described(serverChain(), { B, C })).toEqual(['leaf of C', 'C by B', 'C', 'B']);
  });

  it('leads a device that knows the old root alone to a leaf of the new one', async () => {
    const { A, B } = await rotated();
    const { chain, issued } = await world.deviceWithKey();
    const now = world.clock.now();
    const verdict = (roots: Buffer[], shown = chain) => verifyDeviceChain(shown, roots, now, TRUST_DOMAIN);
    expect(verdict([B])).toMatchObject({ ok: true });
    expect(verdict([A])).toMatchObject({ ok: true });
    expect(verdict([A], [issued.der])).toEqual({ ok: false, reason: 'untrusted' });
    expect(verdict([A], [issued.der, B])).toEqual({ ok: false, reason: 'untrusted' });
  });

  it('is shown for eight days at least, so that a pairing under way can be collected', async () => {
    await world.remove();
    world = await RotationWorld.open({ returnGraceMs: 0 });
    await rotated();
    const [, old] = await world.rotation.list();
    expect(old?.shownUntil).toBe(world.clock.now() + 8 * DAY_MS);
  });
});

describe('tokens and links', () => {
  it('pin the root that signs when they are minted', async () => {
    const pinOf = async (): Promise<string> => {
      const link = parseCodeOrLink((await world.codes.mint(admin, { kind: 'link' })).secretText);
      return link.kind === 'link' ? link.ca.toString('hex') : '';
    };
    const of = (root: Buffer): string => spkiHash(parseCertificate(root).spki);
    const A = world.authority.signingRoot;
    expect(operatorCredential(await adminToken()).ca.toString('hex')).toBe(of(A));
    const B = certificateOf(await world.rotation.prepare(admin, ''));
    expect(await pinOf()).toBe(of(A));
    await world.rotation.activate(admin, '', '');
    expect(await pinOf()).toBe(of(B));
  });
});

describe('after a compromise', () => {
  it.each(['prepared', 'activated'])(
    'of a root that was %s, a new one stands alone, and what pinned others has ended',
    async (step) => {
      await world.rotation.prepare(admin, '');
      if (step === 'activated') await world.rotation.activate(admin, '', '');
      const before = await world.rotation.list();
      const oldToken = await adminToken();
      expect(await world.operators().authenticate(oldToken)).toMatchObject({ role: 'admin' });
      const link = await world.codes.mint(admin, { kind: 'link' });
      const pin = await world.codes.mint(admin, { kind: 'pin' });
      const { chain } = await world.deviceWithKey();

      const outcome = await world.rotation.replaceCompromised(admin, 'a disk was stolen');
      expect(outcome).toMatchObject({ operators: 1, links: 1, closedConnections: 0 });
      const [only, ...others] = await world.rotation.list();
      expect(others).toEqual([]);
      expect(only?.root).toMatchObject({ state: 'signing', crossCertificates: [] });
      expect(before.map(certificateOf)).not.toContainEqual(certificateOf(only!));
      expect(bundle()).toEqual([certificateOf(only!)]);
      expect(serverChain()).toHaveLength(2);
      expect(verifyDeviceChain(chain, bundle(), world.clock.now(), TRUST_DOMAIN)).toEqual({
        ok: false,
        reason: 'untrusted',
      });
      expect(await world.temporary.store.committed.secrets.list('ca/')).toHaveLength(1);

      expect(await world.operators().authenticate(oldToken)).toBeUndefined();
      const newToken = await adminToken();
      expect(await world.operators().authenticate(newToken)).toMatchObject({ role: 'admin' });
      expect(operatorCredential(newToken).ca).toEqual(world.authority.caKeyHash());
      const live = (await world.codes.list({ limit: 10 })).codes.map(({ codeId }) => codeId);
      expect(live).toContain(pin.code.codeId);
      expect(live).not.toContain(link.code.codeId);
      expect((await world.actions()).at(-1)).toBe('ca.compromised');
    },
  );
});

describe('another process on the same store', () => {
  it('takes over what was changed, by the change log', async () => {
    const { store } = world.temporary;
    const other = await world.secondReplica();
    let asked = 0;
    const follower = new CaFollower({
      log: {
        sequence: () => store.storeTime().sequence,
        onCommit: (listener) => store.onCommit(listener),
        hasCaChange: async (after) => {
          asked += 1;
          const entries = await store.auditLog.entries({ after, limit: 1000 });
          return entries.some(({ action }) => action.startsWith('ca.'));
        },
      },
      refresh: () => other.publication.refresh(),
      forgetRetired: () => Promise.resolve(),
      onFailure: (error) => world.failures.push(error),
      followAfterMs: 1,
    });
    follower.start();
    const followed = async (): Promise<void> => {
      while (other.authority.roots.version !== world.authority.roots.version) {
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    await world.rotation.prepare(admin, '');
    await followed();
    await world.rotation.activate(admin, '', '');
    await followed();
    await follower.stop();
    await other.publication.refresh();
    expect(other.certificates.material('grpc')).toEqual(world.server());
    expect(asked).toBeGreaterThan(0);
    await other.certificates.stop();
  });

  it('tries again to bring the doors up to date when that failed, and serves as before until then', async () => {
    const { authority, clock, temporary } = world;
    let broken = false;
    const failures: string[] = [];
    const certificates = new ServerCertificates({
      authority,
      clock,
      names: [],
      unitOfWork: {
        run: (work) =>
          broken ? Promise.reject(new Error('the disk is full')) : temporary.store.unitOfWork.run(work),
      },
      onError: (door, error) => failures.push(`${door} ${String(error)}`),
    });
    await certificates.start();
    const before = certificates.material('grpc');
    await world.rotation.prepare(admin, '');
    broken = true;
    await certificates.refresh();
    expect(failures).toEqual(['grpc', 'quic'].map((door) => `${door} Error: the disk is full`));
    expect(certificates.material('grpc')).toBe(before);
    broken = false;
    await certificates.renewDue();
    expect(certificates.material('grpc')).toEqual(world.server());
    await certificates.stop();
  });
});

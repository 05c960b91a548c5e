import 'reflect-metadata';
import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { verifyDeviceChain, type ChainVerdict } from '../../src/ca/chain-verification.js';
import { ManualClock } from '../../src/time/clock.js';
import { HOSTILE_CASES } from './hostile-certificates.js';
import { makeIntermediate } from './intermediates.js';
import { TestCa } from './test-ca.js';

let ca: TestCa;

beforeAll(async () => {
  ca = await TestCa.create();
});

const verdict = (
  chain: readonly Uint8Array[],
  roots: readonly Buffer[] = ca.bundle.roots,
  now = Date.now(),
): ChainVerdict => verifyDeviceChain(chain, roots, now, ca.trustDomain);

const refused = (reason: string): object => ({ ok: false, reason });

describe('a device certificate', () => {
  it.each(['p256', 'ed25519'] as const)('with a %s key is taken', async (algorithm) => {
    const { deviceId, fingerprint, certificate } = await ca.device({ algorithm });
    const expected = { ok: true, deviceId, fingerprint, notAfter: certificate.expiresAt };
    expect(verdict([certificate.der])).toEqual(expected);
    expect(verdict([certificate.der, ca.authority.signingRoot])).toEqual(expected);
  });

  it('is taken from the first to the last moment of its validity', async () => {
    const clock = new ManualClock(Date.UTC(2026, 5, 1));
    const own = await TestCa.create({ clock });
    clock.advance(3_600_000);
    const { certificate } = await own.device({ lifetimeMs: 60_000 });
    const at = (now: number): ChainVerdict => verdict([certificate.der], own.bundle.roots, now);
    expect(at(clock.now() - 60_001)).toEqual(refused('not_yet_valid'));
    expect(at(clock.now() - 60_000)).toMatchObject({ ok: true });
    expect(at(clock.now() + 60_000)).toMatchObject({ ok: true });
    expect(at(clock.now() + 60_001)).toEqual(refused('expired'));
  });

  it('is found whichever root of the bundle signed it', async () => {
    const other = await TestCa.create();
    const { certificate } = await ca.device();
    expect(verdict([certificate.der], [...other.bundle.roots, ...ca.bundle.roots])).toMatchObject({
      ok: true,
    });
    expect(verdict([certificate.der], [])).toEqual(refused('untrusted'));
    expect(verdict([certificate.der], other.bundle.roots)).toEqual(refused('untrusted'));
  });

  it('does not pass under a root that has expired', async () => {
    const { certificate } = await ca.device();
    expect(verdict([certificate.der], ca.bundle.roots, Date.now() + 11 * 365 * 86_400_000)).toEqual(
      refused('untrusted'),
    );
  });
});

describe('a hostile certificate', () => {
  it.each(HOSTILE_CASES)('is refused: %s', async (name) => {
    const { der, reason } = await ca.hostile(name);
    expect(verdict(der)).toEqual(refused(reason));
  });

  it('is refused when there is none, or what comes is none', () => {
    expect(verdict([])).toEqual(refused('no_certificate'));
    expect(verdict([Buffer.alloc(0)])).toEqual(refused('malformed'));
    expect(verdict([Buffer.from('-----BEGIN CERTIFICATE-----')])).toEqual(refused('malformed'));
  });

  it('is refused when it is the root or the control plane', async () => {
    expect(verdict([ca.authority.signingRoot])).toEqual(refused('not_a_leaf'));
    const { certificate } = await ca.authority.issueControlPlaneCertificate({
      names: [],
      lifetimeMs: 60_000,
    });
    expect(verdict([certificate.der])).toEqual(refused('eku'));
  });
});

describe('a chain', () => {
  it('leads over a cross-certificate to the old root', async () => {
    const newer = await TestCa.create();
    const cross = await makeIntermediate(ca, newer);
    const { certificate } = await newer.device();
    expect(verdict([certificate.der, cross])).toMatchObject({ ok: true });
    expect(verdict([certificate.der, newer.authority.signingRoot, cross])).toMatchObject({ ok: true });
    expect(verdict([certificate.der])).toEqual(refused('untrusted'));
  });

  it.each([
    ['that is no CA', { ca: false }],
    ['that may not sign certificates', { keyCertSign: false }],
    ['that has expired', { lifetimeMs: -1000 }],
    ['with a critical extension that nobody knows', { criticalUnknown: true }],
  ])('does not lead over a certificate %s', async (_name, flaw) => {
    const newer = await TestCa.create();
    const cross = await makeIntermediate(ca, newer, flaw);
    const { certificate } = await newer.device();
    expect(verdict([certificate.der, cross])).toEqual(refused('untrusted'));
  });

  it('is no longer than the root’s path length lets it be', async () => {
    const [second, third] = [await TestCa.create(), await TestCa.create()];
    const chain = [await makeIntermediate(second, third), await makeIntermediate(ca, second)];
    const { certificate } = await third.device();
    expect(verdict([certificate.der, ...chain])).toEqual(refused('untrusted'));
    const { certificate: middle } = await second.device();
    expect(verdict([middle.der, ...chain])).toMatchObject({ ok: true });
  });

  it('of many certificates that point at each other is given up soon', async () => {
    const [one, other] = [await TestCa.create(), await TestCa.create()];
    const loop = [await makeIntermediate(one, other), await makeIntermediate(other, one)];
    const { certificate } = await other.device();
    const chain = [certificate.der, ...Array.from({ length: 500 }, (_, index) => loop[index % 2]!)];
    const started = performance.now();
    expect(verdict(chain)).toEqual(refused('untrusted'));
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it('may cost only so many signatures, even where a path hides among them', async () => {
    const newer = await TestCa.create();
    const { certificate } = await newer.device();
    const cross = await makeIntermediate(ca, newer);
    const detours = await Promise.all([1, 2, 3, 4].map(() => makeIntermediate(newer, newer)));
    expect(verdict([certificate.der, cross, ...detours])).toMatchObject({ ok: true });
    expect(verdict([certificate.der, ...detours, cross])).toEqual(refused('untrusted'));
  });

  it('with unreadable certificates behind the leaf is judged without them', async () => {
    const { certificate } = await ca.device();
    expect(verdict([certificate.der, Buffer.from('junk'), Buffer.alloc(0)])).toMatchObject({ ok: true });
  });
});

describe('certificate bytes that somebody changed', () => {
  it('outside of what is signed: another signature algorithm', async () => {
    const { certificate } = await ca.device();
    const changed = Buffer.from(certificate.der);
    const algorithm = Buffer.from('2a8648ce3d040302', 'hex');
    changed[changed.lastIndexOf(algorithm) + algorithm.length - 1] = 0x03;
    expect(verdict([changed])).toEqual(refused('malformed'));
  });

  it('never pass and never throw, though the signature was found good before', async () => {
    const { certificate } = await ca.device();
    const { der } = certificate;
    expect(verdict([der])).toMatchObject({ ok: true });
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (place, change) => {
        const changed = Buffer.from(der);
        changed[place] = (changed[place] ?? 0) ^ change;
        expect(verdict([changed]).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.nat(der.length - 1), (length) => {
        expect(verdict([der.subarray(0, length)])).toEqual(refused('malformed'));
      }),
    );
    expect(verdict([Buffer.concat([der, Buffer.of(0)])])).toEqual(refused('malformed'));
  });
});

import 'reflect-metadata';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as x509 from '@peculiar/x509';
import { CertificateAuthority } from '../../src/ca/certificate-authority.js';
import { markRevoked, recordIssued } from '../../src/ca/certificate-index.js';
import { parseCrl, readCrlEntries } from '../../src/ca/crl/crl-parser.js';
import { CrlPublisher } from '../../src/ca/crl/crl-publisher.js';
import { IssuerCrl } from '../../src/ca/crl/issuer-crl.js';
import { signCrl } from '../../src/ca/crl/crl-signing.js';
import type { IssuedCertificate } from '../../src/ca/issued-certificate.js';
import type { Issuer } from '../../src/ca/issuer.js';
import { encodePem } from '../../src/ca/pem.js';
import { newDeviceId } from '../../src/identity/device-id.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { ManualClock } from '../../src/time/clock.js';
import { TemporaryStore } from '../store/temporary-store.js';
import { TestCa, verifiedCsr } from './test-ca.js';

const HOUR = 3_600_000;
const LIFETIME = 24 * HOUR;

let clock: ManualClock;
let directory: TemporaryStore;
let authority: CertificateAuthority;
let publisher: CrlPublisher;
/** What forbids to sign. */
let refusal: Error | undefined;
let failures: unknown[];

beforeEach(async () => {
  // The real time, since openssl judges by it.
  clock = new ManualClock(Date.now());
  directory = await TemporaryStore.open({ clock });
  refusal = undefined;
  failures = [];
  await open();
});

afterEach(() => directory.remove());

async function open(): Promise<void> {
  const { unitOfWork, committed } = directory.store;
  const publicHttpUrl = 'http://pki.example:7480';
  authority = await unitOfWork.run((unit) =>
    CertificateAuthority.createOrLoad(unit, { trustDomain: 'edge.example', clock, publicHttpUrl }),
  );
  publisher = new CrlPublisher({
    issuers: () => authority.issuers(),
    unitOfWork,
    committed,
    clock,
    lifetimeMs: LIFETIME,
    requireSigning: () => {
      if (refusal !== undefined) throw refusal;
    },
    onFailure: (error) => failures.push(error),
  });
}

function device(lifetimeMs = 24 * HOUR): Promise<IssuedCertificate> {
  const deviceId = newDeviceId(clock, systemRandomBytes);
  return directory.store.unitOfWork.run(async (unit) => {
    const { csr } = verifiedCsr();
    return recordIssued(unit, await authority.issueDeviceCertificate({ deviceId, csr, lifetimeMs }));
  });
}

const revoke = ({ subjectId }: IssuedCertificate): Promise<void> =>
  directory.store.unitOfWork.run((unit) => markRevoked(unit, subjectId, { at: clock.now() }));

const current = (): ReturnType<CrlPublisher['current']> => publisher.current(authority.keyId);

const serials = (der: Buffer): string[] =>
  readCrlEntries(parseCrl(der).entries).map(({ serial }) => serial.toString('hex'));

const listed = async (): Promise<string[]> => serials((await current()).der);

async function openssl(...args: string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile('openssl', args, { cwd: directory.dataDir }, (_error, stdout, stderr) => {
      resolve(`${stdout}${stderr}`);
    });
  });
}

describe('the revocation list of a CA key', () => {
  it('is there before anything is revoked, and openssl takes it', async () => {
    const { der, number, thisUpdate, nextUpdate } = await current();
    await writeFile(join(directory.dataDir, 'list.crl'), der);
    await writeFile(join(directory.dataDir, 'root.pem'), encodePem('CERTIFICATE', authority.signingRoot));
    const text = await openssl(
      'crl',
      '-inform',
      'DER',
      '-in',
      'list.crl',
      '-CAfile',
      'root.pem',
      '-text',
      '-noout',
    );
    expect(text).toContain('verify OK');
    expect(text).toContain('Version 2 (0x1)');
    expect(text).toContain('No Revoked Certificates.');
    const identifier = authority.keyId.toUpperCase().match(/../g)?.join(':');
    expect(text.replace(/\s+/g, '')).toContain(`X509v3AuthorityKeyIdentifier:${identifier}`);
    expect(text.replace(/\s+/g, '')).toContain(`X509v3CRLNumber:${number}`);
    expect(parseCrl(der).number).toBe(number);
    expect(nextUpdate - thisUpdate).toBe(LIFETIME + 60_000);
    expect(new x509.X509Crl(der).issuer).toBe(new x509.X509Certificate(authority.signingRoot).subject);
  });

  it('is what openssl refuses a revoked certificate by, and no other one', async () => {
    const [gone, stays] = [await device(), await device()];
    await revoke(gone);
    const { der } = await current();
    await writeFile(
      join(directory.dataDir, 'crl.pem'),
      `-----BEGIN X509 CRL-----\n${der.toString('base64')}\n-----END X509 CRL-----\n`,
    );
    await writeFile(join(directory.dataDir, 'root.pem'), encodePem('CERTIFICATE', authority.signingRoot));
    await writeFile(join(directory.dataDir, 'gone.pem'), gone.pem);
    await writeFile(join(directory.dataDir, 'stays.pem'), stays.pem);
    const verify = (name: string): Promise<string> =>
      openssl(
        'verify',
        '-x509_strict',
        '-crl_check',
        '-purpose',
        'sslclient',
        '-CRLfile',
        'crl.pem',
        '-CAfile',
        'root.pem',
        name,
      );
    expect(await verify('stays.pem')).toBe('stays.pem: OK\n');
    expect(await verify('gone.pem')).toMatch(/certificate revoked/);
    const text = await openssl('x509', '-in', 'stays.pem', '-noout', '-text');
    expect(text).toContain(`URI:http://pki.example:7480/crl/${authority.keyId}`);
    expect(text).toContain(`CA Issuers - URI:http://pki.example:7480/ca/${authority.keyId}`);
  });

  it('is signed once, until something is revoked', async () => {
    const first = await current();
    clock.advance(5 * HOUR);
    expect((await current()).der).toBe(first.der);
    await device();
    expect((await current()).der).toBe(first.der);
    await revoke(await device());
    const second = await current();
    expect(second.number).toBeGreaterThan(first.number);
    expect((await current()).der).toBe(second.der);
  });

  it('lists what was revoked before the call, also while another list is being made', async () => {
    const devices = await Promise.all(Array.from({ length: 30 }, () => device()));
    const seen = await Promise.all(
      devices.map(async (certificate) => {
        await revoke(certificate);
        return (await listed()).includes(certificate.serial);
      }),
    );
    expect(seen).toEqual(devices.map(() => true));
    expect((await listed()).sort()).toEqual(devices.map(({ serial }) => serial).sort());
  });

  it('that was begun before a revocation is not served to whoever asks after it', async () => {
    const { unitOfWork, committed } = directory.store;
    let begun = (): void => undefined;
    const reserved = new Promise<void>((resolve) => (begun = resolve));
    let goOn = (): void => undefined;
    const pause = new Promise<void>((resolve) => (goOn = resolve));
    // Stops a list between the end of what it lists and its signature.
    const run: typeof unitOfWork.run = async (work) => {
      const result = await unitOfWork.run(work);
      begun();
      await pause;
      return result;
    };
    const paused = new CrlPublisher({
      issuers: () => authority.issuers(),
      unitOfWork: { run },
      committed,
      clock,
      lifetimeMs: LIFETIME,
      requireSigning: () => undefined,
      onFailure: (error) => failures.push(error),
    });
    const before = paused.current(authority.keyId);
    await reserved;
    const gone = await device();
    await revoke(gone);
    const after = paused.current(authority.keyId);
    goOn();
    expect(serials((await before).der)).toEqual([]);
    expect(serials((await after).der)).toEqual([gone.serial]);
  });

  it('shares the work of those who ask together', async () => {
    await revoke(await device());
    const lists = await Promise.all(Array.from({ length: 20 }, current));
    expect(new Set(lists.map(({ number }) => number)).size).toBe(1);
  });

  it('has a number that rises over a restart, also when the clock is set back or an old store is put back', async () => {
    const { number } = await current();
    await directory.reopen();
    clock.advance(-2 * HOUR);
    await open();
    const second = (await current()).number;
    expect(second).toBe(number + 1);
    await directory.store.unitOfWork.run(({ tables }) => tables.query('DELETE FROM crl'));
    clock.advance(3 * HOUR);
    await open();
    expect((await current()).number).toBeGreaterThan(second);
  });

  it('is made anew long before it ends', async () => {
    const first = await current();
    clock.advance(6 * HOUR);
    const second = await current();
    expect(second.number).toBeGreaterThan(first.number);
    expect(second.nextUpdate).toBe(first.nextUpdate + 6 * HOUR);
  });

  it('drops a certificate only after a list that was issued behind its end', async () => {
    const short = await device(HOUR);
    await revoke(short);
    expect(await listed()).toEqual([short.serial]);
    clock.advance(6 * HOUR);
    expect(await listed()).toEqual([short.serial]);
    clock.advance(6 * HOUR);
    expect(await listed()).toEqual([]);
  });

  it('does not list what has expired before it was revoked', async () => {
    const short = await device(HOUR);
    clock.advance(2 * HOUR);
    await revoke(short);
    expect(await listed()).toEqual([]);
  });

  it('goes on with the last one while nothing may be signed, as long as that says everything', async () => {
    const first = await current();
    refusal = new Error('the clock is wrong');
    clock.advance(7 * HOUR);
    expect((await current()).der).toBe(first.der);
    expect((await current()).der).toBe(first.der);
    expect(failures).toEqual([refusal]);
    const gone = await device();
    await revoke(gone);
    await expect(current()).rejects.toBe(refusal);
    refusal = undefined;
    expect(await listed()).toEqual([gone.serial]);
  });

  it('that cannot be made is not tried again each time that somebody asks', async () => {
    const [issuer] = authority.issuers();
    const [stranger] = (await TestCa.create()).authority.issuers();
    const { unitOfWork, committed } = directory.store;
    let tried = 0;
    const list = new IssuerCrl(
      { ...issuer!, signingKey: stranger!.signingKey },
      {
        unitOfWork: {
          run: (work) => {
            tried += 1;
            return unitOfWork.run(work);
          },
        },
        committed,
        clock,
        lifetimeMs: LIFETIME,
        requireSigning: () => undefined,
        onFailure: (error) => failures.push(error),
      },
    );
    for (let asked = 0; asked < 5; asked += 1)
      await expect(list.current()).rejects.toMatchObject({ reason: 'CRL_CHECK' });
    expect(tried).toBe(1);
    clock.advance(10_000);
    await expect(list.current()).rejects.toMatchObject({ reason: 'CRL_CHECK' });
    expect(tried).toBe(2);
  });

  it('is only there for keys of this CA', async () => {
    await expect(publisher.current('00'.repeat(20))).rejects.toMatchObject({ reason: 'CA_NOT_FOUND' });
  });

  it('is one for each key', async () => {
    const other = await TestCa.create({ trustDomain: 'edge.example', clock });
    const [old] = authority.issuers();
    const [young] = other.authority.issuers();
    const both = [old, young].filter((issuer) => issuer !== undefined);
    const { unitOfWork, committed } = directory.store;
    const onFailure = (error: unknown): unknown => failures.push(error);
    const parts = {
      unitOfWork,
      committed,
      clock,
      lifetimeMs: LIFETIME,
      requireSigning: () => undefined,
      onFailure,
    };
    const publisherOfBoth = new CrlPublisher({ ...parts, issuers: () => both });
    const gone = await device();
    await revoke(gone);
    const { certificate } = await other.device();
    await unitOfWork.run(async (unit) => {
      await recordIssued(unit, certificate);
      await markRevoked(unit, certificate.subjectId, { at: clock.now() });
    });
    await publisherOfBoth.warmUp();
    expect(serials((await publisherOfBoth.current(authority.keyId)).der)).toEqual([gone.serial]);
    expect(serials((await publisherOfBoth.current(other.authority.keyId)).der)).toEqual([certificate.serial]);
  });
});

describe('a list that came out wrong', () => {
  const update = { number: 1, thisUpdate: 1_780_000_000_000, nextUpdate: 1_780_000_060_000 };

  /** The issuer with a key handle that signs other bytes than it is given. */
  function lying(change: (tbs: Buffer) => Buffer): Issuer {
    const [issuer] = authority.issuers();
    if (issuer === undefined) throw new Error('no issuer');
    const signList = (tbs: Buffer): Promise<Buffer> => issuer.signingKey.signList(change(Buffer.from(tbs)));
    const signingKey = { publicKey: issuer.publicKey, certify: () => Promise.reject(new Error()), signList };
    return { ...issuer, signingKey: signingKey as unknown as Issuer['signingKey'] };
  }

  it.each<[string, (tbs: Buffer) => Buffer]>([
    ['times', (tbs) => (tbs.write('27', tbs.indexOf('26', 60)), tbs)],
    ['number', (tbs) => ((tbs[tbs.length - 1] = 2), tbs)],
  ])('is not let out: %s', async (wrong, change) => {
    await expect(signCrl(lying(change), update, Buffer.alloc(0))).rejects.toMatchObject({
      reason: 'CRL_CHECK',
      cause: wrong,
    });
  });

  it('is not let out: signature', async () => {
    const [issuer] = authority.issuers();
    const other = await TestCa.create();
    const [stranger] = other.authority.issuers();
    if (issuer === undefined || stranger === undefined) throw new Error('no issuer');
    const mixed: Issuer = { ...issuer, signingKey: stranger.signingKey };
    await expect(signCrl(mixed, update, Buffer.alloc(0))).rejects.toMatchObject({
      reason: 'CRL_CHECK',
      cause: 'signature',
    });
  });
});

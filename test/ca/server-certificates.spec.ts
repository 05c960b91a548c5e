import 'reflect-metadata';
import { once } from 'node:events';
import { checkServerIdentity, connect, createServer, type PeerCertificate } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CertificateAuthority } from '../../src/ca/certificate-authority.js';
import { DEFAULT_CERT_VALIDITY } from '../../src/ca/issued-certificate.js';
import { decodeCertificates } from '../../src/ca/pem.js';
import { SERVER_DOORS, serverRecordName } from '../../src/ca/server-certificate-record.js';
import { ServerCertificates, type ServerCertificatesOptions } from '../../src/ca/server-certificates.js';
import type { UnitOfWork } from '../../src/database/unit-of-work.js';
import { ManualClock } from '../../src/time/clock.js';
import { TemporaryStore } from '../store/temporary-store.js';

const HOUR = 3_600_000;

let directory: TemporaryStore;
let clock: ManualClock;
let authority: CertificateAuthority;
let opened: ServerCertificates[] = [];
let issuedBefore = 0;

beforeAll(async () => {
  directory = await TemporaryStore.open();
});

afterAll(() => directory.remove());

beforeEach(async () => {
  clock = new ManualClock(Date.now());
  authority = await directory.store.unitOfWork.run(async (unit) => {
    for (const door of SERVER_DOORS) await unit.secrets.delete(serverRecordName(door));
    return CertificateAuthority.createOrLoad(unit, { trustDomain: 'edge.example', clock });
  });
  issuedBefore = 0;
  issuedBefore = await auditedIssues();
});

afterEach(async () => {
  await Promise.all(opened.map((certificates) => certificates.stop()));
  opened = [];
});

async function start(options: Partial<ServerCertificatesOptions> = {}): Promise<ServerCertificates> {
  const { unitOfWork } = directory.store;
  const certificates = new ServerCertificates({
    authority,
    unitOfWork,
    clock,
    names: [],
    random: () => 0,
    ...options,
  });
  opened.push(certificates);
  await certificates.start();
  return certificates;
}

/** How many were issued in this test. */
const auditedIssues = async (): Promise<number> => {
  const rows = await directory.store.committed.tables.query<{ n: number }[]>(
    `SELECT count(*) AS n FROM audit_entry WHERE action = 'server_certificate.issued'`,
  );
  return (rows[0]?.n ?? Number.NaN) - issuedBefore;
};

describe('the certificates of the doors', () => {
  it('are one for each door, sealed, recorded and audited', async () => {
    const certificates = await start();
    expect(certificates.material('grpc').chain).not.toBe(certificates.material('quic').chain);
    expect(await directory.store.committed.secrets.list('server/')).toEqual(['server/grpc', 'server/quic']);
    expect(await auditedIssues()).toBe(2);
  });

  it('come with the root behind the leaf and the bundle of the roots', async () => {
    const { chain, bundle, expiresAt } = (await start()).material('grpc');
    const [leaf, root, ...rest] = decodeCertificates(chain);
    expect(rest).toEqual([]);
    expect(leaf?.equals(root!)).toBe(false);
    expect(root?.equals(authority.signingRoot)).toBe(true);
    expect(decodeCertificates(bundle)).toEqual(authority.trustBundle().roots);
    expect(expiresAt).toBe(Math.floor((clock.now() + DEFAULT_CERT_VALIDITY) / 1000) * 1000);
  });

  it('are not there before the start', () => {
    const { unitOfWork } = directory.store;
    const certificates = new ServerCertificates({ authority, unitOfWork, clock, names: [] });
    expect(() => certificates.material('grpc')).toThrow(
      expect.objectContaining({ reason: 'SERVER_CERTIFICATES' }),
    );
  });

  it('are used again after a restart', async () => {
    const first = await start({ names: ['cp.example'] });
    clock.advance(15 * HOUR);
    const second = await start({ names: ['CP.example'] });
    expect(second.material('grpc')).toEqual(first.material('grpc'));
    expect(second.material('quic')).toEqual(first.material('quic'));
  });

  it.each<[string, () => Partial<ServerCertificatesOptions>]>([
    ['the names changed', () => ({ names: ['other.example'] })],
    ['two thirds of their life are over', () => (clock.advance(16 * HOUR), {})],
    ['they have expired', () => (clock.advance(48 * HOUR), {})],
    ['they begin in the future', () => (clock.advance(-30_000_000), {})],
  ])('are made anew when %s', async (name, change) => {
    if (name.includes('future')) clock.advance(HOUR * 10);
    const first = await start();
    const second = await start(change());
    expect(second.material('grpc').chain).not.toBe(first.material('grpc').chain);
    expect(await auditedIssues()).toBe(4);
  });

  it('are made anew when the root did not sign them', async () => {
    const first = await start();
    const { unitOfWork } = directory.store;
    await unitOfWork.run(async (unit) => {
      const record = JSON.parse(String(await unit.secrets.read('server/grpc'))) as { certificate: string };
      const forged = Buffer.from(record.certificate, 'base64');
      forged[forged.length - 1]! ^= 1;
      const changed = { ...record, certificate: forged.toString('base64') };
      await unit.secrets.write('server/grpc', Buffer.from(JSON.stringify(changed)));
    });
    const second = await start();
    expect(second.material('grpc').chain).not.toBe(first.material('grpc').chain);
    expect(second.material('quic').chain).toBe(first.material('quic').chain);
    expect(await auditedIssues()).toBe(3);
  });

  it('stop the start when a key is not that of its certificate', async () => {
    await start();
    const { unitOfWork } = directory.store;
    await unitOfWork.run(async (unit) => {
      const [one, other] = await Promise.all(
        SERVER_DOORS.map((door) => unit.secrets.read(serverRecordName(door))),
      );
      const { privateKey } = JSON.parse(String(one)) as { privateKey: string };
      const record = JSON.parse(String(other)) as object;
      await unit.secrets.write('server/quic', Buffer.from(JSON.stringify({ ...record, privateKey })));
    });
    await expect(start()).rejects.toMatchObject({ kind: 'corrupt', reason: 'RECORD_CORRUPT' });
  });

  it('stop the start with an error that names the record when it is damaged', async () => {
    await start();
    await directory.store.unitOfWork.run((unit) => unit.secrets.write('server/quic', Buffer.from('{"v":1}')));
    await expect(start()).rejects.toMatchObject({
      kind: 'corrupt',
      message: expect.stringContaining('server/quic'),
    });
  });
});

describe('renewal', () => {
  it('comes at two thirds and tells the doors', async () => {
    const certificates = await start();
    const told: string[] = [];
    const end = certificates.onRenewed((door, material) => told.push(`${door} ${material.chain}`));
    clock.advance(16 * HOUR - 10_000);
    await certificates.renewDue();
    expect(told).toEqual([]);
    clock.advance(10_000);
    await certificates.renewDue();
    expect(told).toEqual(
      ['grpc', 'quic'].map((door) => `${door} ${certificates.material(door as 'grpc').chain}`),
    );
    end();
    clock.advance(16 * HOUR);
    await certificates.renewDue();
    expect(told).toHaveLength(2);
  });

  it('comes when the wall clock was set back, by the one that cannot be', async () => {
    let offset = 0;
    const certificates = await start({
      clock: { now: () => clock.now() - offset, monotonic: () => clock.monotonic() },
    });
    const before = certificates.material('quic').chain;
    offset = 12 * HOUR;
    clock.advance(16 * HOUR);
    await certificates.renewDue();
    expect(certificates.material('quic').chain).not.toBe(before);
  });

  it('that fails keeps the old certificate, says so and is tried again', async () => {
    const errors: unknown[] = [];
    let broken = false;
    const unitOfWork: UnitOfWork = {
      run: (work) =>
        broken ? Promise.reject(new Error('the disk is full')) : directory.store.unitOfWork.run(work),
    };
    const certificates = await start({
      unitOfWork,
      onError: (door, error) => errors.push([door, String(error)]),
    });
    const before = certificates.material('grpc');
    clock.advance(16 * HOUR);
    broken = true;
    await certificates.renewDue();
    expect(certificates.material('grpc')).toBe(before);
    expect(errors).toEqual(['grpc', 'quic'].map((door) => [door, 'Error: the disk is full']));
    broken = false;
    await certificates.renewDue();
    expect(certificates.material('grpc')).not.toEqual(before);
  });

  it('goes on when a listener fails', async () => {
    const errors: string[] = [];
    const certificates = await start({ onError: (door, error) => errors.push(`${door} ${String(error)}`) });
    const told: string[] = [];
    certificates.onRenewed(() => {
      throw new Error('deaf');
    });
    certificates.onRenewed((door) => told.push(door));
    clock.advance(16 * HOUR);
    await certificates.renewDue();
    expect(told).toEqual(['grpc', 'quic']);
    expect(errors).toEqual(['grpc Error: deaf', 'quic Error: deaf']);
  });

  it('takes over what another replica has renewed', async () => {
    const one = await start();
    const other = await start();
    clock.advance(16 * HOUR);
    await one.renewDue();
    await other.renewDue();
    expect(other.material('grpc')).toEqual(one.material('grpc'));
    expect(await auditedIssues()).toBe(4);
  });

  it('happens by itself, and ends with stop', async () => {
    const certificates = await start({ checkEveryMs: 5 });
    const renewed = new Promise<void>((resolve) => {
      certificates.onRenewed((door) => {
        if (door === 'quic') resolve();
      });
    });
    clock.advance(16 * HOUR);
    await renewed;
    await certificates.stop();
    const after = certificates.material('quic');
    clock.advance(16 * HOUR);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(certificates.material('quic')).toBe(after);
  });
});

describe('on a real TLS connection', () => {
  it('every name holds, and no other', async () => {
    const { chain, key, bundle } = (await start({ names: ['cp.example'] })).material('grpc');
    const server = createServer({ cert: chain, key, minVersion: 'TLSv1.3' }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const outcome = (name: string): Promise<string> =>
      new Promise((resolve) => {
        const identity = (_host: string, certificate: PeerCertificate) =>
          checkServerIdentity(name, certificate);
        const socket = connect({ host: '127.0.0.1', port, ca: bundle, checkServerIdentity: identity });
        const end = (text: string): void => {
          socket.destroy();
          resolve(text);
        };
        socket.once('secureConnect', () => {
          end('holds');
        });
        socket.once('error', (error: NodeJS.ErrnoException) => {
          end(error.code ?? 'failed');
        });
      });
    for (const name of ['localhost', 'control-plane.edge.example', '127.0.0.1', '::1', 'cp.example']) {
      expect(`${name} ${await outcome(name)}`).toBe(`${name} holds`);
    }
    expect(await outcome('other.example')).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    server.close();
    await once(server, 'close');
  });
});

describe('while nothing may be issued', () => {
  it('what is stored is served on, due or not, and renewed once that is over', async () => {
    await start();
    const issued = await auditedIssues();
    clock.advance(20 * HOUR);
    let held = true;
    const errors: unknown[] = [];
    const certificates = await start({ isHeldUp: () => held, onError: (_door, error) => errors.push(error) });
    const before = SERVER_DOORS.map((door) => certificates.material(door).chain);
    await certificates.renewDue();
    expect([await auditedIssues(), errors]).toEqual([issued, []]);
    expect(SERVER_DOORS.map((door) => certificates.material(door).chain)).toEqual(before);
    held = false;
    await certificates.renewDue();
    expect(await auditedIssues()).toBe(issued + SERVER_DOORS.length);
  });
});

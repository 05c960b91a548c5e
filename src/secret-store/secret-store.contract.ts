import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CommittedReader, Unit, UnitOfWork } from '../database/unit-of-work.js';

/** An adapter under test: units that write secrets, and a reader of what they committed. */
export interface SecretStoreUnderTest {
  readonly unitOfWork: UnitOfWork;
  readonly committed: Pick<CommittedReader, 'secrets'>;
  close(): Promise<void>;
}

/** What every implementation of `SecretStore` promises, in a unit of work and outside. */
export function secretStoreContract(adapter: string, open: () => Promise<SecretStoreUnderTest>): void {
  describe(`${adapter} as SecretStore`, () => {
    let underTest: SecretStoreUnderTest;
    const run = <T>(work: (unit: Unit) => Promise<T>): Promise<T> => underTest.unitOfWork.run(work);
    const write = (name: string, value: string): Promise<void> =>
      run((unit) => unit.secrets.write(name, Buffer.from(value)));
    const read = async (name: string): Promise<string | undefined> =>
      (await underTest.committed.secrets.read(name))?.toString();

    beforeAll(async () => {
      underTest = await open();
    });

    afterAll(async () => {
      await underTest.close();
    });

    it('says undefined of what is absent', async () => {
      expect(await read('cluster')).toBeUndefined();
      expect(await run((unit) => unit.secrets.read('cluster'))).toBeUndefined();
    });

    it('gives back what was written, byte for byte', async () => {
      const value = Buffer.from([...Array(256).keys()]);
      await run((unit) => unit.secrets.write('server/grpc', value));
      expect(await underTest.committed.secrets.read('server/grpc')).toEqual(value);
      await write('server/quic', '');
      expect(await read('server/quic')).toBe('');
    });

    it('replaces a value and deletes it once', async () => {
      await write('operator/7zk4m9qx', 'one');
      await write('operator/7zk4m9qx', 'two');
      expect(await read('operator/7zk4m9qx')).toBe('two');
      expect(await run((unit) => unit.secrets.delete('operator/7zk4m9qx'))).toBe(true);
      expect(await run((unit) => unit.secrets.delete('operator/7zk4m9qx'))).toBe(false);
      expect(await read('operator/7zk4m9qx')).toBeUndefined();
    });

    it('shows a unit its own writes, and nobody else before the commit', async () => {
      await run(async (unit) => {
        await unit.secrets.write('code/K7QM', Buffer.from('mine'));
        expect((await unit.secrets.read('code/K7QM'))?.toString()).toBe('mine');
        expect(await unit.secrets.list('code/')).toEqual(['code/K7QM']);
        expect(await read('code/K7QM')).toBeUndefined();
        expect(await underTest.committed.secrets.list('code/')).toEqual([]);
      });
      expect(await read('code/K7QM')).toBe('mine');
    });

    it('keeps nothing of a unit that throws', async () => {
      await write('ca/00', 'before');
      const failing = run(async (unit) => {
        await unit.secrets.write('ca/00', Buffer.from('after'));
        await unit.secrets.write('ca/01', Buffer.from('new'));
        await unit.secrets.delete('server/grpc');
        throw new Error('changed my mind');
      });
      await expect(failing).rejects.toThrow('changed my mind');
      expect(await read('ca/00')).toBe('before');
      expect(await read('ca/01')).toBeUndefined();
      expect(await read('server/grpc')).toBeDefined();
    });

    it('keeps what the caller does to its buffer afterwards out of the record', async () => {
      const value = Buffer.from('kept');
      await run((unit) => unit.secrets.write('request/r-1', value));
      value.fill(0);
      (await underTest.committed.secrets.read('request/r-1'))?.fill(0);
      expect(await read('request/r-1')).toBe('kept');
    });

    it('lists names in byte order, by prefix, page by page', async () => {
      const ids = ['9', 'A', 'Z', '10', '0'].map((end) => `device/01K9ZAYT3M4V5W6X7Y8Z9ABC${end}`);
      await run(async (unit) => {
        for (const name of ids) await unit.secrets.write(name, Buffer.from(name));
        await unit.secrets.write('devices', Buffer.from('another prefix'));
      });
      const sorted = [...ids].sort();
      const { secrets } = underTest.committed;
      expect(await secrets.list('device/')).toEqual(sorted);
      expect(await secrets.list('device/', { limit: 2 })).toEqual(sorted.slice(0, 2));
      expect(await secrets.list('device/', { after: sorted[1] ?? '', limit: 2 })).toEqual(sorted.slice(2, 4));
      expect(await secrets.list('device/', { after: sorted[4] ?? '' })).toEqual([]);
      expect(await secrets.list('device')).toEqual([...sorted, 'devices']);
      expect(await secrets.list('')).toEqual(expect.arrayContaining(sorted));
    });

    it.each([
      '',
      '/x',
      'x/',
      'Device/1',
      'device/a',
      'device/01 2',
      'ca/AA',
      'a//b',
      'ä',
      `x/${'y'.repeat(200)}`,
    ])('refuses the name %j', async (name) => {
      const invalid = expect.objectContaining({ reason: 'SECRET_NAME_INVALID' });
      await expect(underTest.committed.secrets.read(name)).rejects.toEqual(invalid);
      await expect(run((unit) => unit.secrets.write(name, Buffer.alloc(1)))).rejects.toEqual(invalid);
      await expect(run((unit) => unit.secrets.delete(name))).rejects.toEqual(invalid);
    });

    it('refuses a prefix that no name has', async () => {
      const invalid = expect.objectContaining({ reason: 'SECRET_NAME_INVALID' });
      await expect(underTest.committed.secrets.list('Device/')).rejects.toEqual(invalid);
      await expect(underTest.committed.secrets.list('%')).rejects.toEqual(invalid);
    });

    it('refuses a unit that is over', async () => {
      const { secrets, audit } = await run((unit) => Promise.resolve(unit));
      const ended = expect.objectContaining({ reason: 'UNIT_ENDED' });
      await expect(secrets.read('ca/00')).rejects.toEqual(ended);
      await expect(secrets.list('ca/')).rejects.toEqual(ended);
      await expect(secrets.write('ca/00', Buffer.alloc(1))).rejects.toEqual(ended);
      await expect(secrets.delete('ca/00')).rejects.toEqual(ended);
      const event = { actor: 'system', source: 'local', action: 'test.done', subject: 'test' };
      expect(() => {
        audit.append(event);
      }).toThrow(ended);
    });
  });
}

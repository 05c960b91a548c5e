import { describe, expect, it } from '@jest/globals';
import { InMemoryUnitOfWork } from '../database/in-memory-unit-of-work.js';
import { systemRandomBytes } from '../random/random-bytes.js';
import { ensureQuicKeys } from './quic-keys.js';

describe('ensureQuicKeys', () => {
  it('makes the keys once and reads the same ones ever after', async () => {
    const store = new InMemoryUnitOfWork();
    const made = await store.run((unit) => ensureQuicKeys(unit, systemRandomBytes));
    const read = await store.run((unit) => ensureQuicKeys(unit, systemRandomBytes));
    expect(read.retry.equals(made.retry)).toBe(true);
    expect(read.statelessReset.equals(made.statelessReset)).toBe(true);
    expect(made.retry.equals(made.statelessReset)).toBe(false);
  });

  it('refuses a record that holds something else', async () => {
    const store = new InMemoryUnitOfWork();
    await store.run((unit) =>
      unit.secrets.write('quic-keys', Buffer.from('{"v":1,"retry":"AA==","statelessReset":"AA=="}')),
    );
    const reading = store.run((unit) => ensureQuicKeys(unit, systemRandomBytes));
    await expect(reading).rejects.toMatchObject({ kind: 'corrupt', reason: 'RECORD_CORRUPT' });
  });
});

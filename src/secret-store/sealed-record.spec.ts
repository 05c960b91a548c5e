import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { openRecord, sealRecord, unwrapDataKey, WRAPPED_KEY_BYTES, wrapDataKey } from './sealed-record.js';
import type { DataKey } from './sealed-record.js';

interface Vectors {
  readonly store_id: string;
  readonly data_keys: readonly { readonly id: string; readonly key: string }[];
  readonly sealed: readonly {
    readonly name: string;
    readonly data_key_id: string;
    readonly salt: string;
    readonly plaintext: string;
    readonly record: string;
  }[];
  readonly refused: readonly {
    readonly case: string;
    readonly name: string;
    readonly store_id: string;
    readonly record: string;
    readonly reason: 'too_short' | 'unknown_format' | 'unknown_data_key' | 'does_not_open';
  }[];
}

const vectors = JSON.parse(
  readFileSync(new URL('../../test/vectors/record.json', import.meta.url), 'utf8'),
) as Vectors;

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const dataKeys: DataKey[] = vectors.data_keys.map(({ id, key }) => ({ id: hex(id), key: hex(key) }));
const byId = (id: Buffer): DataKey | undefined => dataKeys.find((dataKey) => dataKey.id.equals(id));
const storeId = hex(vectors.store_id);

describe('sealed records, test/vectors/record.json', () => {
  it.each(vectors.sealed)('seals and opens $name', (vector) => {
    const place = { storeId, name: vector.name };
    const dataKey = byId(hex(vector.data_key_id))!;
    const sealed = sealRecord(dataKey, place, hex(vector.plaintext), hex(vector.salt));
    expect(sealed.toString('hex')).toBe(vector.record);
    expect(openRecord(byId, place, hex(vector.record)).toString('hex')).toBe(vector.plaintext);
  });

  it.each(vectors.refused)('refuses: $case', (vector) => {
    const place = { storeId: hex(vector.store_id), name: vector.name };
    expect(() => openRecord(byId, place, hex(vector.record))).toThrow(
      expect.objectContaining({
        kind: 'corrupt',
        reason: `RECORD_${vector.reason.toUpperCase()}`,
        message: expect.stringContaining(`"${vector.name}"`),
      }),
    );
  });
});

describe('sealed records', () => {
  const place = { storeId, name: 'cluster' };
  const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
    fc.uint8Array({ minLength: length, maxLength: length });
  const sealedRecord = fc
    .tuple(fc.uint8Array({ maxLength: 80 }), bytes(32))
    .map(([plaintext, salt]) => ({ plaintext, record: sealRecord(dataKeys[0]!, place, plaintext, salt) }));
  const damaged = expect.objectContaining({
    kind: 'corrupt',
    reason: expect.stringMatching(/^RECORD_(?:TOO_SHORT|UNKNOWN_FORMAT|UNKNOWN_DATA_KEY|DOES_NOT_OPEN)$/),
    message: expect.stringContaining('"cluster"'),
  });

  it('open to what was sealed', () => {
    fc.assert(
      fc.property(sealedRecord, ({ plaintext, record }) => {
        expect(openRecord(byId, place, record)).toEqual(Buffer.from(plaintext));
      }),
    );
  });

  it('do not open with any one bit flipped', () => {
    fc.assert(
      fc.property(sealedRecord, fc.nat(), ({ record }, at) => {
        const bit = at % (record.length * 8);
        record[bit >> 3]! ^= 1 << (bit & 7);
        expect(() => openRecord(byId, place, record)).toThrow(damaged);
      }),
    );
  });

  it('do not open cut, or with bytes behind', () => {
    fc.assert(
      fc.property(sealedRecord, fc.nat(), fc.uint8Array({ minLength: 1 }), ({ record }, at, more) => {
        expect(() => openRecord(byId, place, record.subarray(0, at % record.length))).toThrow(damaged);
        expect(() => openRecord(byId, place, Buffer.concat([record, more]))).toThrow(damaged);
      }),
    );
  });

  it('do not open under another name or in another store', () => {
    fc.assert(
      fc.property(sealedRecord, fc.string(), bytes(16), ({ record }, name, otherStore) => {
        fc.pre(
          name !== place.name && name.isWellFormed() && !name.includes('\0') && !storeId.equals(otherStore),
        );
        const doesNotOpen = expect.objectContaining({ reason: 'RECORD_DOES_NOT_OPEN' });
        expect(() => openRecord(byId, { storeId, name }, record)).toThrow(doesNotOpen);
        expect(() => openRecord(byId, { storeId: otherStore, name: 'cluster' }, record)).toThrow(doesNotOpen);
      }),
    );
  });

  it('do not open from random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (record) => {
        expect(() => openRecord(byId, place, record)).toThrow(damaged);
      }),
    );
  });
});

describe('wrapped data keys', () => {
  const dataKey = dataKeys[0]!;
  const masterKey = Buffer.alloc(32, 7);
  const salt = Buffer.alloc(32, 9);
  const wrong = expect.objectContaining({ reason: 'RECORD_DOES_NOT_OPEN' });

  it('unwrap with the master key of this store only', () => {
    const wrapped = wrapDataKey(masterKey, storeId, dataKey, salt);
    expect(wrapped).toHaveLength(WRAPPED_KEY_BYTES);
    expect(WRAPPED_KEY_BYTES).toBe(97);
    expect(unwrapDataKey(masterKey, storeId, wrapped)).toEqual(dataKey);
    expect(() => unwrapDataKey(Buffer.alloc(32, 8), storeId, wrapped)).toThrow(wrong);
    expect(() => unwrapDataKey(masterKey, Buffer.alloc(16), wrapped)).toThrow(wrong);
  });

  it('do not pass for records, nor records for them', () => {
    const wrapped = wrapDataKey(masterKey, storeId, dataKey, salt);
    const asRecord = { storeId, name: 'data-key' };
    expect(() => openRecord(() => ({ id: dataKey.id, key: masterKey }), asRecord, wrapped)).toThrow(wrong);
    const record = sealRecord({ id: dataKey.id, key: masterKey }, asRecord, dataKey.key, salt);
    expect(() => unwrapDataKey(masterKey, storeId, record)).toThrow(wrong);
  });

  it('do not unwrap with any bit flipped or byte missing', () => {
    const wrapped = wrapDataKey(masterKey, storeId, dataKey, salt);
    for (let bit = 0; bit < wrapped.length * 8; bit += 5) {
      const altered = Buffer.from(wrapped);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => unwrapDataKey(masterKey, storeId, altered)).toThrow(
        expect.objectContaining({ kind: 'corrupt' }),
      );
    }
    expect(() => unwrapDataKey(masterKey, storeId, wrapped.subarray(0, 96))).toThrow(wrong);
  });

  it('do not unwrap to a key of another length', () => {
    const short = wrapDataKey(masterKey, storeId, { id: dataKey.id, key: Buffer.alloc(31) }, salt);
    expect(() => unwrapDataKey(masterKey, storeId, short)).toThrow(wrong);
  });
});

describe('sealing', () => {
  it('refuses salts and ids of another length', () => {
    const place = { storeId, name: 'cluster' };
    expect(() => sealRecord(dataKeys[0]!, place, Buffer.alloc(1), Buffer.alloc(31))).toThrow(RangeError);
    expect(() =>
      sealRecord(dataKeys[0]!, { ...place, storeId: Buffer.alloc(15) }, Buffer.alloc(1), Buffer.alloc(32)),
    ).toThrow(RangeError);
  });
});

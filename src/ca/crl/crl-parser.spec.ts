import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeContext, encodeSequence, encodeUnsigned } from '../der-writer.js';
import { DerError } from '../der.js';
import { encodeDistinguishedName } from '../names.js';
import { SIGNATURE_ALGORITHM } from '../public-key.js';
import { parseCrl, readCrlEntries } from './crl-parser.js';
import { encodeCrlEntry, encodeTbsCertList, type CrlEntry } from './crl-writer.js';

const NOW = Date.UTC(2026, 5, 1);
const frame = {
  issuer: encodeDistinguishedName([{ type: 'O', value: 'Palyra' }]),
  issuerKeyIdentifier: Buffer.alloc(20, 7),
  number: 1_780_000_000_123,
  thisUpdate: NOW,
  nextUpdate: NOW + 86_400_000,
};
const SIGNATURE = Buffer.from('0303000102', 'hex').subarray(0, 5);

const listOf = (tbs: Buffer, algorithm = SIGNATURE_ALGORITHM.p256): Buffer =>
  encodeSequence(tbs, algorithm, SIGNATURE);

const entry = fc.record({
  serial: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => {
    const serial = Buffer.from(bytes);
    serial[0] = (serial[0] ?? 0) || 1;
    return serial;
  }),
  revokedAt: fc.integer({ min: 0, max: 2_000_000 }).map((seconds) => NOW + seconds * 1000),
  reasonCode: fc.constantFrom(undefined, 1, 3, 4, 5, 9),
});

describe('a revocation list', () => {
  it('is read as it was written, whatever is in it', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
        const encoded = Buffer.concat(entries.map(encodeCrlEntry));
        const read = parseCrl(listOf(encodeTbsCertList(frame, encoded)));
        expect(read).toMatchObject(frame);
        expect(readCrlEntries(read.entries)).toEqual(entries);
      }),
    );
  });

  const serial = Buffer.alloc(16, 0x81);
  const one: CrlEntry = { serial, revokedAt: NOW, reasonCode: 4 };

  it('writes the reason as RFC 5280 §5.3.1 has it, and none when none is known', () => {
    expect(encodeCrlEntry(one).toString('hex')).toContain('300a0603551d1504030a0104');
    expect(encodeCrlEntry({ ...one, reasonCode: undefined }).toString('hex')).not.toContain('0603551d15');
  });

  it.each([
    [
      'another algorithm outside',
      listOf(encodeTbsCertList(frame, Buffer.alloc(0)), SIGNATURE_ALGORITHM.ed25519),
      'two signature',
    ],
    ['an empty list written out', withEmptyList(), 'left out'],
    [
      'bytes behind it',
      Buffer.concat([listOf(encodeTbsCertList(frame, Buffer.alloc(0))), Buffer.of(0)]),
      'bytes follow',
    ],
    ['version 1', listOf(encodeSequence(encodeUnsigned(Buffer.of(0)))), 'not version 2'],
  ])('is refused with %s', (_name, der, message) => {
    expect(() => parseCrl(der)).toThrow(DerError);
    expect(() => parseCrl(der)).toThrow(message);
  });

  it('is refused when an entry is cut', () => {
    expect(() => readCrlEntries(encodeCrlEntry(one).subarray(0, -1))).toThrow(DerError);
  });
});

/** What the writer never makes. */
function withEmptyList(): Buffer {
  const tbs = encodeTbsCertList(frame, Buffer.alloc(0));
  const at = tbs.lastIndexOf(encodeContext(0).subarray(0, 1));
  const body = Buffer.concat([tbs.subarray(2, at), encodeSequence(), tbs.subarray(at)]);
  return listOf(encodeSequence(body.subarray(tbs[1] === 0x81 ? 1 : 0)));
}

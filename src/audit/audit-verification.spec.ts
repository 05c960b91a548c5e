import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  chainEndAfter,
  chainEntry,
  EMPTY_CHAIN,
  entryHash,
  entryPreimage,
  recordEvent,
} from './audit-chain.js';
import type { AuditEntry } from './audit-entry.js';
import {
  formatEntry,
  formatHead,
  formatKeptHead,
  parseEntry,
  parseEntryLine,
  parseHead,
  parseHeadLine,
  parseKeptHeadLine,
} from './audit-export.js';
import { headPreimage, signHead } from './audit-head.js';
import { auditPublicKey, newAuditKeyRecord, readAuditKeyRecord } from './audit-key.js';
import { verifyExport } from './audit-verification.js';

interface ExportVector {
  readonly case: string;
  readonly entries: readonly unknown[];
  readonly head: unknown;
  readonly since: unknown;
  readonly finding?: string;
  readonly sequence?: number;
}

interface Vectors {
  readonly audit_key: { readonly spki: string; readonly pkcs8: string };
  readonly store_id: string;
  readonly entries: readonly Record<string, unknown>[];
  readonly head: Record<string, unknown>;
  readonly accepted: readonly ExportVector[];
  readonly refused: readonly ExportVector[];
}

const vectors = JSON.parse(
  readFileSync(new URL('../../test/vectors/audit.json', import.meta.url), 'utf8'),
) as Vectors;

const auditKey = createPublicKey({
  key: Buffer.from(vectors.audit_key.spki, 'hex'),
  format: 'der',
  type: 'spki',
});
const storeId = Buffer.from(vectors.store_id, 'hex');

const without = (key: string, fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => name !== key));

const verifyVector = (vector: ExportVector): ReturnType<typeof verifyExport> =>
  verifyExport(vector.entries.map(parseEntry), parseHead(vector.head), {
    auditKey,
    storeId,
    since: vector.since === null ? null : parseHead(vector.since),
  });

describe('the audit chain, test/vectors/audit.json', () => {
  it.each(vectors.entries)('hashes entry $sequence', (vector) => {
    const entry = parseEntry(without('hashed', vector));
    expect(entryPreimage(entry).toString('hex')).toBe(vector['hashed']);
    expect(entryHash(entry)).toEqual(entry.hash);
  });

  it('makes the first four entries from their events', () => {
    let end = EMPTY_CHAIN;
    for (const vector of vectors.entries.slice(0, 4)) {
      const expected = parseEntry(without('hashed', vector));
      const { actor, source, action, subject, reason, details, epoch, timeMs } = expected;
      const event = recordEvent({
        actor,
        source,
        action,
        subject,
        reason,
        details: JSON.parse(details) as Record<string, unknown>,
      });
      const entry = chainEntry(end, epoch, timeMs, event);
      expect(entry).toEqual(expected);
      end = chainEndAfter(end, entry);
    }
    expect(end.sequence).toBe(4);
  });

  it('signs the head', () => {
    const head = parseHead(without('signed', vectors.head));
    expect(headPreimage(head).toString('hex')).toBe(vectors.head['signed']);
    const record = Buffer.from(
      JSON.stringify({ v: 1, privateKey: Buffer.from(vectors.audit_key.pkcs8, 'hex').toString('base64') }),
    );
    expect(signHead(head, readAuditKeyRecord(record))).toEqual(head);
  });

  it.each(vectors.accepted)('accepts: $case', (vector) => {
    expect(verifyVector(vector)).toEqual([]);
  });

  it.each(vectors.refused)('finds $finding at $sequence: $case', (vector) => {
    const { finding, sequence } = vector;
    expect(verifyVector(vector)).toContainEqual({ finding, sequence });
  });

  it.each(vectors.accepted.filter(({ case: name }) => name.endsWith('not seen without an older head')))(
    'does not accept with the older head: $case',
    (vector) => {
      expect(verifyVector({ ...vector, since: without('signed', vectors.head) })).not.toEqual([]);
    },
  );
});

/** A chain of our own to break. */
function chainOf(length: number): AuditEntry[] {
  const entries: AuditEntry[] = [];
  let end = EMPTY_CHAIN;
  for (let index = 0; index < length; index += 1) {
    const event = recordEvent({
      actor: 'system',
      source: 'local',
      action: 'test.done',
      subject: `n/${index}`,
    });
    const entry = chainEntry(end, 1_000, 2_000 + index, event);
    entries.push(entry);
    end = chainEndAfter(end, entry);
  }
  return entries;
}

describe('verifyExport', () => {
  const privateKey = readAuditKeyRecord(newAuditKeyRecord());
  const publicKey = createPublicKey({ key: auditPublicKey(privateKey), format: 'der', type: 'spki' });
  const entries = chainOf(12);
  const headAt = (sequence: number): ReturnType<typeof signHead> =>
    signHead({ storeId, epoch: 1_000, sequence, hash: entries[sequence - 1]!.hash }, privateKey);
  const head = headAt(12);
  const verify = (
    some: readonly AuditEntry[],
    since: typeof head | null = null,
  ): ReturnType<typeof verifyExport> => verifyExport(some, head, { auditKey: publicKey, storeId, since });

  it('finds one altered field, and blames that entry alone', () => {
    const fields = ['actor', 'source', 'action', 'subject', 'reason', 'details', 'epoch', 'timeMs'] as const;
    fc.assert(
      fc.property(fc.nat({ max: 11 }), fc.constantFrom(...fields), (index, field) => {
        const entry = entries[index]!;
        const value = entry[field];
        const altered = { ...entry, [field]: typeof value === 'number' ? value + 1 : `${value}x` };
        const found = verify(entries.with(index, altered));
        expect(found).toContainEqual({ finding: 'changed', sequence: index + 1 });
        expect(found.filter(({ finding }) => finding === 'changed')).toHaveLength(1);
      }),
    );
  });

  it('finds any permutation and any selection that is not the whole', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(entries), (some) => {
        const whole = some.length === 12 && some.every(({ sequence }, index) => sequence === index + 1);
        expect(verify(some).length > 0).toBe(!whole);
      }),
    );
  });

  it('says how many are gone only once, with the first of them', () => {
    expect(verify([...entries.slice(0, 3), ...entries.slice(7)])).toEqual([
      { finding: 'removed', sequence: 4 },
    ]);
    expect(verify(entries.slice(5))).toEqual([{ finding: 'removed', sequence: 1 }]);
  });

  it('takes an export that begins at, behind or before the older head, not one that begins later', () => {
    for (const first of [1, 3, 5, 6]) expect(verify(entries.slice(first - 1), headAt(5))).toEqual([]);
    expect(verify(entries.slice(6), headAt(5))).toEqual([{ finding: 'removed', sequence: 6 }]);
    expect(verify([], head)).toEqual([]);
    expect(verify([], headAt(5))).toEqual([{ finding: 'cut', sequence: 6 }]);
  });

  it('finds an export that goes on behind another chain than the older head', () => {
    const other = signHead({ storeId, epoch: 1_000, sequence: 5, hash: Buffer.alloc(32, 1) }, privateKey);
    expect(verify(entries.slice(5), other)).toEqual([{ finding: 'changed', sequence: 6 }]);
    expect(verify(entries.slice(4), other)).toEqual([{ finding: 'changed', sequence: 5 }]);
  });

  it('finds another chain of the same length, though no entry is shown', () => {
    const other = signHead({ storeId, epoch: 1_000, sequence: 12, hash: Buffer.alloc(32, 1) }, privateKey);
    const newer = signHead({ ...head, epoch: 999 }, privateKey);
    for (const since of [other, newer]) {
      expect(verify([], since)).toEqual([{ finding: 'changed', sequence: 12 }]);
    }
  });

  it('does not trust an older head of another key or store', () => {
    const foreign = signHead({ ...headAt(5) }, readAuditKeyRecord(newAuditKeyRecord()));
    expect(verify(entries, foreign)).toEqual([{ finding: 'head_signature', sequence: 5 }]);
    const elsewhere = signHead({ ...headAt(5), storeId: Buffer.alloc(16) }, privateKey);
    expect(verify(entries, elsewhere)).toEqual([{ finding: 'other_store', sequence: 5 }]);
  });

  it('finds that the epoch is lower than that of the older head', () => {
    const newer = signHead({ storeId, epoch: 1_001, sequence: 5, hash: entries[4]!.hash }, privateKey);
    expect(verify(entries.slice(5), newer)).toEqual([{ finding: 'epoch_fell', sequence: 12 }]);
  });

  it('finds that the older head is shown as the newer', () => {
    const trust = { auditKey: publicKey, storeId, since: head };
    expect(verifyExport([], headAt(5), trust)).toEqual([{ finding: 'cut', sequence: 6 }]);
  });

  it('calls text without canonical form changed', () => {
    expect(verify(entries.with(2, { ...entries[2]!, reason: '\ud800' }))).toContainEqual({
      finding: 'changed',
      sequence: 3,
    });
  });
});

describe('the lines of an export', () => {
  const head = parseHead(without('signed', vectors.head));
  const entry = parseEntry(without('hashed', vectors.entries[2]!));
  const line = formatEntry(entry);

  it('read back as they were written', () => {
    expect(parseEntryLine(line, 3)).toEqual(entry);
    expect(parseHeadLine(formatHead(head))).toEqual(head);
    const auditKey32 = Buffer.alloc(32, 7);
    expect(parseKeptHeadLine(formatKeptHead(head, auditKey32))).toEqual({ head, auditKey: auditKey32 });
    expect(parseKeptHeadLine(formatHead(head))).toEqual({ head, auditKey: undefined });
  });

  it.each([
    ['AUDIT_LINE_MALFORMED', '{'],
    ['AUDIT_ENTRY_MALFORMED', '{}'],
    ['AUDIT_ENTRY_MALFORMED', formatHead(head)],
    ['AUDIT_ENTRY_MALFORMED', line.replace('"hash":"', '"hash":"A')],
    ['AUDIT_ENTRY_MALFORMED', line.replace('{', '{"more":1,')],
  ])('are refused with %s and their number: %s', (reason, altered) => {
    expect(() => parseEntryLine(altered, 3)).toThrow(
      expect.objectContaining({
        kind: 'malformed',
        reason,
        message: expect.stringContaining('Line 3 is no'),
      }),
    );
  });

  it.each([
    ['AUDIT_LINE_MALFORMED', ''],
    ['AUDIT_HEAD_MALFORMED', line],
    // The key of an export vouches for nothing, so that none may come with it.
    ['AUDIT_HEAD_MALFORMED', formatKeptHead(head, Buffer.alloc(32))],
  ])('refuses as a head with %s: %s', (reason, altered) => {
    expect(() => parseHeadLine(altered)).toThrow(expect.objectContaining({ kind: 'malformed', reason }));
  });
});

describe('recordEvent', () => {
  it.each(['\u0000', '\ud800', 'a\udc00'])('refuses text without canonical form: %j', (text) => {
    const event = { actor: 'system', source: 'local', action: 'test.done', subject: 'test' };
    const invalid = expect.objectContaining({ kind: 'malformed', reason: 'AUDIT_TEXT_INVALID' });
    expect(() => recordEvent({ ...event, reason: text })).toThrow(invalid);
    expect(() => recordEvent({ ...event, actor: text })).toThrow(invalid);
  });

  it('keeps any text in details, escaped', () => {
    const event = { actor: 'system', source: 'local', action: 'test.done', subject: 'test' };
    expect(recordEvent({ ...event, details: { note: '\u0000\ud800' } }).details).toBe(
      '{"note":"\\u0000\\ud800"}',
    );
  });
});

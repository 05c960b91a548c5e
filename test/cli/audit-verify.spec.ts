import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { linesOf, runCommand, type CliResult } from './cli-run.js';

type Fields = Readonly<Record<string, unknown>>;

interface ExportVector {
  readonly case: string;
  readonly entries: readonly Fields[];
  readonly head: Fields;
  readonly since: Fields | null;
  readonly finding?: string;
  readonly sequence?: number;
}

interface Vectors {
  readonly audit_key: { readonly spki: string; readonly public_raw: string };
  readonly store_id: string;
  readonly accepted: readonly ExportVector[];
  readonly refused: readonly ExportVector[];
}

const vectors = JSON.parse(
  readFileSync(new URL('../vectors/audit.json', import.meta.url), 'utf8'),
) as Vectors;
const { spki, public_raw: key } = vectors.audit_key;
const whole = vectors.accepted[0]!;
const older = vectors.accepted[1]!.since!;

/** What an export is made of; the vectors show beside it what hashes and signatures are over. */
const lineOf = ({ hashed: _hashed, signed: _signed, ...fields }: Fields): string => JSON.stringify(fields);
const textOf = ({ entries, head }: ExportVector): string =>
  [...entries, head].map((fields) => `${lineOf(fields)}\n`).join('');

describe('palyra audit verify', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'palyra-verify-'));
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  async function fileWith(name: string, text: string | Uint8Array): Promise<string> {
    const path = join(directory, name);
    await writeFile(path, text);
    return path;
  }

  async function verify(text: string | Uint8Array, ...more: string[]): Promise<CliResult> {
    return runCommand(['audit', 'verify', await fileWith('export.jsonl', text), ...more]);
  }

  async function verifyVector(vector: ExportVector, ...more: string[]): Promise<CliResult> {
    const since =
      vector.since === null ? [] : ['--since', await fileWith('since.jsonl', lineOf(vector.since))];
    return verify(textOf(vector), '--key', key, '--store', vectors.store_id, '--json', ...since, ...more);
  }

  it.each(vectors.accepted)('takes: $case', async (vector) => {
    const result = await verifyVector(vector);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.objects()).toMatchObject([
      { verified: true, entries: vector.entries.length, findings: [] },
    ]);
  });

  it('says how many entries it has verified', async () => {
    const vector = vectors.accepted.find(({ since }) => since === null)!;
    const { stdout } = await verify(textOf(vector), '--key', key, '--store', vectors.store_id);
    expect(stdout).toContain(`verified         ${vector.entries.length} entries up to`);
  });

  it.each(vectors.refused)('finds $finding at $sequence: $case', async (vector) => {
    const { finding, sequence } = vector;
    const result = await verifyVector(vector);
    expect(result.code).toBe(1);
    expect(result.objects()).toMatchObject([{ verified: false }]);
    expect(result.objects()[0]?.['findings']).toContainEqual({ finding, sequence });
    expect(result.error()).toMatchObject({ error: 'AUDIT_FINDINGS', exitCode: 1 });
  });

  it('tells people what was found, and what an export alone cannot say', async () => {
    const removed = { ...whole, entries: whole.entries.toSpliced(2, 1) };
    const found = await verify(textOf(removed), '--key', key);
    expect(found.code).toBe(1);
    expect(linesOf(found.stdout)[1]).toMatch(/^3 +removed +the entry/);
    expect(found.stderr).toContain('1 finding');
    const clean = await verify(textOf(whole), '--key', key);
    expect(clean.stdout).toContain('5 entries up to sequence 5');
    expect(clean.stdout).toContain('without an older head');
  });

  it.each([
    ['hex', key],
    ['base64', Buffer.from(key, 'hex').toString('base64')],
    ['an SPKI in hex', spki],
    ['an SPKI in base64', Buffer.from(spki, 'hex').toString('base64')],
  ])('takes the key in %s', async (_form, text) => {
    expect(await verify(textOf(whole), '--key', text)).toMatchObject({ code: 0, stderr: '' });
  });

  it('takes the key that was kept with the older head, and no other', async () => {
    const keptWith = async (auditKey: string): Promise<CliResult> => {
      const kept = await fileWith('head.json', lineOf({ ...older, audit_key: auditKey }));
      return verify(textOf(whole), '--since', kept, '--json');
    };
    expect(await keptWith(key)).toMatchObject({ code: 0, stderr: '' });
    const other = await keptWith('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
    expect(other.objects()[0]?.['findings']).toContainEqual({ finding: 'head_signature', sequence: 5 });
  });

  it.each([
    ['AUDIT_KEY_MISSING', []],
    ['AUDIT_KEY', ['--key', 'frobnicate']],
    ['AUDIT_KEY', ['--key', key.slice(2)]],
    // The neutral element: under it one signature holds for everything.
    ['AUDIT_KEY', ['--key', `01${'00'.repeat(31)}`]],
    ['STORE_ID', ['--key', key, '--store', 'frobnicate']],
  ])('exits 2 with %s for %j', async (reason, options) => {
    const result = await verify(textOf(whole), '--json', ...options);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.error()).toMatchObject({ error: reason });
  });

  it('takes no key that comes with the export', async () => {
    const withKey = { ...whole, head: { ...whole.head, audit_key: key } };
    const result = await verify(textOf(withKey), '--key', key, '--json');
    expect(result.error()).toMatchObject({ error: 'AUDIT_HEAD_MALFORMED', exitCode: 1 });
  });

  it('exits 2 for a file that is not there, be it the export or the older head', async () => {
    const absent = join(directory, 'absent');
    const unreadable = { error: 'AUDIT_FILE_UNREADABLE', exitCode: 2 };
    const result = await runCommand(['audit', 'verify', absent, '--key', key, '--json']);
    expect(result.error()).toMatchObject(unreadable);
    expect((await verify(textOf(whole), '--key', key, '--since', absent, '--json')).error()).toMatchObject(
      unreadable,
    );
    expect((await verify(textOf(whole), '--key', key, '--since', directory, '--json')).error()).toMatchObject(
      unreadable,
    );
  });

  const lines = linesOf(textOf(whole));
  it.each([
    ['an empty file', '', 'AUDIT_LINE_MALFORMED', 'The last line is no JSON'],
    [
      'no head',
      `${lines.slice(0, 5).join('\n')}\n`,
      'AUDIT_HEAD_MALFORMED',
      'The last line is no signed head',
    ],
    ['a cut last line', textOf(whole).slice(0, -20), 'AUDIT_LINE_MALFORMED', 'The last line is no JSON'],
    ['broken JSON', lines.with(1, '{').join('\n'), 'AUDIT_LINE_MALFORMED', 'Line 2 is no JSON'],
    [
      'a head inside',
      lines.with(2, lines[5]!).join('\n'),
      'AUDIT_ENTRY_MALFORMED',
      'Line 3 is no audit entry',
    ],
    ['a blank line', lines.toSpliced(3, 0, '').join('\n'), 'AUDIT_LINE_MALFORMED', 'Line 4 is no JSON'],
    [
      'a line without end',
      `${'x'.repeat(1_400_000)}\n${lines[5]!}`,
      'AUDIT_LINE_MALFORMED',
      'Line 1 is too long',
    ],
  ])('exits 1 for %s, and names the line', async (_what, text, reason, message) => {
    const result = await verify(text, '--key', key, '--json');
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.error()).toMatchObject({ error: reason, message: expect.stringContaining(message) });
  });

  it('exits 1 for bytes that are no text, which others would read as if they were', async () => {
    const bytes = Buffer.from(textOf(whole));
    bytes[bytes.indexOf('store.created')] = 0xff;
    const result = await verify(bytes, '--key', key, '--json');
    expect(result.error()).toMatchObject({
      error: 'AUDIT_LINE_MALFORMED',
      message: expect.stringContaining('Line 1 is no UTF-8'),
    });
  });

  it('reads lines that are cut by the end of what is read at once', async () => {
    const long = '€'.repeat(100_000);
    const text = `${lines.slice(0, 5).join('\n')}\n${lines[5]!}\n`;
    const padded = text.replace('"reason":""', `"reason":"${long}"`);
    const result = await verify(padded, '--key', key, '--json');
    expect(result.objects()).toMatchObject([{ entries: 5, findings: [{ finding: 'changed', sequence: 1 }] }]);
    expect((await readFile(join(directory, 'export.jsonl'))).length).toBeGreaterThan(256 * 1024);
  });
});

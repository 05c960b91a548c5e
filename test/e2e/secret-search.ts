import { readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** Something that must not stand anywhere in clear. */
export interface Secret {
  readonly name: string;
  readonly bytes: Buffer;
}

/** A place where secrets are looked for: a file as it was at some moment, or a log. */
export interface Haystack {
  readonly name: string;
  readonly bytes: Buffer;
}

export interface Finding {
  readonly secret: string;
  readonly form: string;
  readonly where: string;
}

/** What is shorter turns up by chance. */
const LEAST_BYTES = 8;

/** Every file below the directories; `stage` says in findings when that was. */
export async function filesBelow(directories: readonly string[], stage: string): Promise<Haystack[]> {
  const found: Haystack[] = [];
  for (const directory of directories) {
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      found.push({ name: `${stage}: ${path}`, bytes: await readFile(path) });
    }
  }
  return found;
}

/** Looks for each secret in each of its forms, also where line ends break it. */
export function findSecrets(secrets: readonly Secret[], haystacks: readonly Haystack[]): Finding[] {
  const whole = haystacks.map(({ name, bytes }) => ({ name, texts: [bytes, withoutLineEnds(bytes)] }));
  return secrets.flatMap((secret) =>
    formsOf(secret).flatMap(([form, needle]) =>
      whole
        .filter(({ texts }) => texts.some((text) => text.includes(needle)))
        .map(({ name }) => ({ secret: secret.name, form, where: basename(name) })),
    ),
  );
}

/** Raw, hex, and what any text in base64 would hold of the secret, whatever stands before it. */
export function formsOf({ name, bytes }: Secret): [form: string, needle: Buffer][] {
  if (bytes.length < LEAST_BYTES) throw new Error(`${name} is too short to be looked for`);
  const hex = bytes.toString('hex');
  const forms: [string, string][] = [
    ['hex', hex],
    ['HEX', hex.toUpperCase()],
  ];
  for (const encoding of ['base64', 'base64url'] as const) {
    for (const before of [0, 1, 2]) forms.push([`${encoding} +${before}`, inner(bytes, encoding, before)]);
  }
  return [['raw', bytes], ...forms.map(([form, text]): [string, Buffer] => [form, Buffer.from(text)])];
}

/** The characters of base64 that depend on the secret alone when `before` bytes stand in front of it. */
function inner(bytes: Buffer, encoding: 'base64' | 'base64url', before: number): string {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString(encoding);
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
}

/** Real line ends, and those that JSON has escaped. */
function withoutLineEnds(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/\r|\n|\\r|\\n/g, ''), 'latin1');
}

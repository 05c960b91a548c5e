import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { createLogger } from './logger.js';
import { redactText } from './redaction.js';
import { newKeyPair } from '../random/key-pair.js';

interface TokenVectors {
  readonly valid: readonly { readonly text: string }[];
}
interface CodeVectors {
  readonly links: { readonly accepted: readonly { readonly canonical: string; readonly secret: string }[] };
}

const readVectors = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../test/vectors/${name}.json`, import.meta.url), 'utf8'));
const token = (readVectors('token') as TokenVectors).valid[0]!.text;
const link = (readVectors('code') as CodeVectors).links.accepted[0]!.canonical;
const PIN_CODE = 'K7QM-482913';
const privateKey = newKeyPair('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();

/** What a line must not hold, by what was logged. */
const SECRETS: readonly (readonly [string, string, string])[] = [
  ['an operator token', token, token.split('_')[2]!],
  ['a pairing link', link, new URL(link).searchParams.get('secret')!],
  ['a PIN code', PIN_CODE, '482913'],
  ['a bearer credential', 'Bearer abc.def-secret', 'abc.def-secret'],
  ['a private key', privateKey, privateKey.split('\n')[1]!],
];

function logged(
  log: (logger: ReturnType<typeof createLogger>) => void,
  format: 'json' | 'text' = 'json',
): string {
  const lines: string[] = [];
  log(createLogger({ level: 'trace', format, sink: { write: (line) => lines.push(line) } }));
  return lines.join('');
}

describe.each(SECRETS)('%s', (_name, text, secret) => {
  it('is not logged, wherever it stands', () => {
    const error = new Error(`outer ${text}`, { cause: new Error(`inner ${text}`) });
    for (const format of ['json', 'text'] as const) {
      const lines = logged((logger) => {
        logger.info(`before ${text} behind`);
        logger.info({ deep: { deeper: { deepest: { text } } } }, 'an object');
        logger.error({ err: error }, 'an error');
      }, format);
      expect(lines).toContain('before');
      expect(lines).not.toContain(secret);
    }
  });
});

describe('redaction', () => {
  it.each(['token', 'secret', 'password', 'pin', 'collectToken', 'w0', 'authorization'])(
    'writes no value of the key %s',
    (key) => {
      const lines = logged((logger) => {
        logger.info({ [key]: 'plain-value', one: { [key]: 'plain-value', two: { [key]: 'plain-value' } } });
      });
      expect(lines).toContain(key);
      expect(lines).not.toContain('plain-value');
    },
  );

  it('looks into lists, errors and what makes its own JSON', () => {
    const secret = { token: 'plain-value' };
    const lines = logged((logger) => {
      logger.info({ list: [secret, [secret]], own: { toJSON: () => secret } });
      logger.error({
        err: Object.assign(new Error('outer'), secret),
        other: Object.assign(new Error(), secret),
      });
      logger.error({ err: new Error('outer', { cause: Object.assign(new Error('inner'), secret) }) });
    });
    expect(lines.match(/\[redacted\]/g)).toHaveLength(6);
    expect(lines).not.toContain('plain-value');
  });

  it('ends at a cycle, and writes what stands before it', () => {
    const cyclic: Record<string, unknown> = { name: 'before' };
    cyclic['self'] = cyclic;
    expect(
      logged((logger) => {
        logger.info(cyclic);
      }),
    ).toContain('before');
  });

  it('leaves fingerprints, device ids and times alone', () => {
    const text = `device/01K9ZAYT3M4V5W6X7Y8Z9ABCDE ${'ab'.repeat(32)} 2026-05-28T20:26:40.000Z`;
    expect(redactText(text)).toBe(text);
  });
});

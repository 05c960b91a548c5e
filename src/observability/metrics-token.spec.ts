import { describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MetricsToken } from './metrics-token.js';

const TOKEN = '0123456789abcdef';

const reasonOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as { reason: string }).reason;
  }
  return 'let in';
};

/** What a file with this content gives. */
function fromFile(content: string): MetricsToken {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-metrics-'));
  try {
    const path = join(directory, 'token');
    writeFileSync(path, content);
    return MetricsToken.fromFile(path);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe('the metrics token', () => {
  it('is asked for when there is one', () => {
    const token = fromFile(`${TOKEN}\n`);
    expect(
      reasonOf(() => {
        token.require(`Bearer ${TOKEN}`);
      }),
    ).toBe('let in');
    for (const shown of [
      undefined,
      '',
      TOKEN,
      `Basic ${TOKEN}`,
      `Bearer ${TOKEN}0`,
      'Bearer ',
      `Bearer ${TOKEN.slice(1)}`,
    ]) {
      expect(
        reasonOf(() => {
          token.require(shown);
        }),
      ).toBe('METRICS_TOKEN_REQUIRED');
    }
  });

  it('is not asked for when there is none', () => {
    expect(
      reasonOf(() => {
        MetricsToken.fromFile(undefined).require(undefined);
      }),
    ).toBe('let in');
  });

  it.each(['', 'short', TOKEN.slice(1), `${TOKEN} ${TOKEN}`])('is refused in a file with %j', (content) => {
    expect(reasonOf(() => fromFile(content))).toBe('METRICS_TOKEN_FILE');
  });

  it('is refused in a file that is not there', () => {
    expect(reasonOf(() => MetricsToken.fromFile('/nowhere/token'))).toBe('METRICS_TOKEN_FILE');
  });
});

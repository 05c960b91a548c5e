import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { newKeyPair } from '../../src/random/key-pair.js';

const LOADER = new URL('../store/typescript-loader.mjs', import.meta.url).href;
const SCRIPT = fileURLToPath(new URL('./key-pairs-forever.ts', import.meta.url));

describe('a new key pair', () => {
  it.each([
    ['p256', 'ec', 'EC'],
    ['ed25519', 'ed25519', 'OKP'],
  ] as const)('is one: %s', (algorithm, type, kty) => {
    const { publicKey, privateKey } = newKeyPair(algorithm);
    expect([publicKey.type, privateKey.type]).toEqual(['public', 'private']);
    expect([publicKey.asymmetricKeyType, privateKey.asymmetricKeyType]).toEqual([type, type]);
    const { d, ...shown } = privateKey.export({ format: 'jwk' });
    expect(d).toHaveLength(43);
    expect(publicKey.export({ format: 'jwk' })).toEqual(shown);
    expect(shown).toMatchObject({ kty });
    expect(newKeyPair(algorithm).publicKey.equals(publicKey)).toBe(false);
  });

  it('never hangs the process, whenever garbage is collected', async () => {
    const options = ['--max-semi-space-size=1', '--import', LOADER, SCRIPT];
    // Longer than it ever takes: with keys as they come from the generator, Node 20 never ends.
    const { stdout } = await promisify(execFile)(process.execPath, options, {
      env: { PATH: process.env['PATH'] },
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    expect(stdout).toBe('done\n');
  }, 90_000);
});

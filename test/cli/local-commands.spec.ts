import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { formatOperatorToken, newOperatorToken } from '../../src/operators/token.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { linesOf, runCommand } from './cli-run.js';

const NOBODY = '127.0.0.1:1';

describe('palyra without a service', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'palyra-cli-'));
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  async function fileWith(name: string, text: string, mode = 0o600): Promise<string> {
    const path = join(directory, name);
    await writeFile(path, text);
    await chmod(path, mode);
    return path;
  }

  const newToken = (): string =>
    formatOperatorToken(newOperatorToken(Buffer.alloc(32, 7), systemRandomBytes));

  it('shows its commands', async () => {
    const result = await runCommand(['--help']);
    expect(result.code).toBe(0);
    for (const command of ['serve', 'config', 'pairing', 'devices', 'node', 'status']) {
      expect(result.stdout).toContain(`  ${command} `);
    }
    expect(result.stderr).toBe('');
  });

  it('shows its version', async () => {
    const result = await runCommand(['--version']);
    expect(result).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  it.each([
    ['an unknown command', ['frobnicate'], 'unknown command'],
    ['an unknown option', ['status', '--frobnicate'], 'unknown option'],
    ['a missing argument', ['pairing', 'approve'], "missing required argument 'request-id'"],
    ['an argument too many', ['status', 'now'], 'too many arguments'],
  ])('exits 2 for %s, with what is wrong and what to do', async (_what, commandLine, message) => {
    const result = await runCommand(commandLine);
    expect(result.code).toBe(2);
    expect(result.stdout).toBe('');
    const [happened, advice, ...more] = linesOf(result.stderr);
    expect(happened).toContain(message);
    expect(advice).toContain('--help');
    expect(more).toEqual([]);
  });

  it('exits 2 and shows help on stderr when only a group was named', async () => {
    const result = await runCommand(['pairing']);
    expect(result).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('approve') });
  });

  it('gives errors as an object with --json', async () => {
    const result = await runCommand(['pairing', 'approve', '--json']);
    expect(result.error()).toMatchObject({ error: 'USAGE', exitCode: 2, message: expect.any(String) });
  });

  describe('config check', () => {
    it('shows what is in force', async () => {
      const result = await runCommand(['config', 'check'], {
        environment: { PALYRA_GRPC_LISTEN: '127.0.0.1:0' },
      });
      expect(result.code).toBe(0);
      expect(result.stdout).toMatch(/PALYRA_GRPC_LISTEN +127\.0\.0\.1:0 +environment/);
    });

    it('shows it as one object with --json', async () => {
      const result = await runCommand(['config', 'check', '--json']);
      const [{ settings }] = result.objects() as [{ settings: { name: string }[] }];
      expect(settings.map(({ name }) => name)).toContain('grpc_listen');
    });

    it('names all problems at once', async () => {
      const config = await fileWith('palyra.yaml', 'grpc_listen: nonsense\nno_such_thing: 1\n');
      const result = await runCommand(['config', 'check', '--config', config], {
        environment: { PALYRA_CERT_VALIDITY: 'forever' },
      });
      expect(result.code).toBe(2);
      for (const name of ['grpc_listen', 'no_such_thing', 'PALYRA_CERT_VALIDITY']) {
        expect(result.stderr).toContain(name);
      }
    });

    it('warns of a variable that has no effect', async () => {
      const result = await runCommand(['config', 'check'], { environment: { PALYRA_GRPC_LISTN: 'x' } });
      expect(result).toMatchObject({ code: 0, stderr: expect.stringContaining('PALYRA_GRPC_LISTN') });
    });

    it.each([
      ['config check', ['config', 'check']],
      ['serve', ['serve']],
      ['store verify', ['store', 'verify', '--offline']],
    ])('warns of it also when %s finds something wrong', async (_what, commandLine) => {
      const environment = { PALYRA_GRPC_LISTN: 'x', PALYRA_CERT_VALIDITY: 'forever' };
      const result = await runCommand(commandLine, { environment });
      const [warning, ...problems] = linesOf(result.stderr);
      expect(result.code).toBe(2);
      expect(warning).toMatch(/^warning: PALYRA_GRPC_LISTN is no setting/);
      expect(problems.join()).toContain('PALYRA_CERT_VALIDITY');
    });
  });

  describe('operator commands', () => {
    it('exit 4 when nothing listens', async () => {
      const token = await fileWith('token', newToken());
      const result = await runCommand(['status', '--endpoint', NOBODY, '--token-file', token]);
      expect(result.code).toBe(4);
      expect(linesOf(result.stderr)).toHaveLength(2);
      expect(result.stderr).toContain(`cannot reach ${NOBODY}`);
    });

    it('find endpoint and token by environment', async () => {
      const token = await fileWith('token', newToken());
      const environment = { PALYRA_ENDPOINT: NOBODY, PALYRA_TOKEN_FILE: token };
      const result = await runCommand(['status', '--json'], { environment });
      expect(result.code).toBe(4);
      expect(result.error()).toMatchObject({ error: 'SERVER_UNREACHABLE' });
    });

    it('take the first token from the data directory', async () => {
      await fileWith('admin-token', newToken());
      const environment = { PALYRA_ENDPOINT: NOBODY, PALYRA_DATA_DIR: directory };
      expect((await runCommand(['status', '--json'], { environment })).code).toBe(4);
    });

    it('exit 2 without a token', async () => {
      const result = await runCommand(['status', '--json'], { environment: { PALYRA_DATA_DIR: directory } });
      expect(result).toMatchObject({ code: 2 });
      expect(result.error()).toMatchObject({ error: 'TOKEN_FILE_UNREADABLE' });
    });

    it('do not use a token that others may have read, and never show it', async () => {
      const text = newToken();
      const token = await fileWith('token', text, 0o644);
      const result = await runCommand(['status', '--endpoint', NOBODY, '--token-file', token]);
      expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('chmod 600') });
      expect(result.stderr).not.toContain(text.slice(10, 40));
    });

    it.each([
      ['endpoint', ['status', '--endpoint', 'localhost'], 'ENDPOINT_MALFORMED'],
      ['time', ['status', '--endpoint', NOBODY, '--timeout', '10'], 'DURATION'],
      ['time to wait', ['status', '--endpoint', NOBODY, '--timeout', '0s'], 'DURATION'],
      ['time to its end', ['certificates', 'list', '--expires-within', '36501d'], 'DURATION'],
      ['ttl', ['pairing', 'code', '--endpoint', NOBODY, '--ttl', 'soon'], 'DURATION'],
      ['state', ['pairing', 'list', '--state', 'sleepy'], 'STATE'],
    ])('exit 2 for a wrong %s', async (_what, commandLine, reason) => {
      const result = await runCommand([...commandLine, '--json']);
      expect(result.error()).toMatchObject({ error: reason, exitCode: 2 });
    });

    it.each([
      ['certificates', 'write one of valid, expired, revoked, all'],
      ['devices', 'write one of active, suspended, revoked'],
    ])('name all states that %s list takes', async (group, advice) => {
      const result = await runCommand([group, 'list', '--state', 'bogus', '--json']);
      expect(result.error()).toMatchObject({ error: 'STATE', exitCode: 2, advice });
    });
  });

  describe('pairing pair', () => {
    const pair = ['pairing', 'pair', '--endpoint', NOBODY, '--json'];

    async function reasonOf(more: readonly string[], stdin?: string): Promise<unknown> {
      const commandLine = [...pair, '--device-dir', join(directory, 'device'), ...more];
      const result = await runCommand(commandLine, stdin === undefined ? {} : { stdin });
      expect(result.stdout + result.stderr).not.toMatch(/7ZK4|65049/);
      return { reason: result.error()['error'], code: result.code };
    }

    it.each([
      ['a code on the command line', ['--proof', '7ZK4-650491'], 'PROOF_ARGUMENT'],
      ['two codes', ['--proof', '7ZK4-650491', '--allow-insecure-proof-arg', '--proof-stdin'], 'TWO_PROOFS'],
      ['no terminal to ask', [], 'NO_TERMINAL'],
      ['an empty stdin', ['--proof-stdin'], 'NO_PROOF'],
      ['an unknown kind', ['--kind', 'toaster'], 'KIND'],
    ])('exits 2 for %s', async (_what, more, reason) => {
      expect(await reasonOf(more)).toEqual({ reason, code: 2 });
    });

    it('exits 2 for a code of the wrong form, and does not repeat it', async () => {
      expect(await reasonOf(['--proof-stdin'], '7ZK4-65049\n')).toEqual({ reason: 'CODE_LENGTH', code: 2 });
    });

    it('exits 2 for a device directory that cannot be used, before it asks for a code', async () => {
      await fileWith('device', 'in the way');
      const result = await runCommand([...pair, '--device-dir', join(directory, 'device')]);
      expect(result.error()).toMatchObject({
        error: 'DEVICE_DIRECTORY',
        exitCode: 2,
        advice: expect.stringContaining('--device-dir'),
      });
    });

    it('exits 4 when nothing listens', async () => {
      const insists = ['--proof', '7ZK4-650491', '--allow-insecure-proof-arg'];
      expect(await reasonOf(insists)).toEqual({ reason: 'SERVER_UNREACHABLE', code: 4 });
    });
  });

  it('node health exits 2 on a device that is not paired, and makes no store', async () => {
    const device = join(directory, 'device');
    const result = await runCommand(['node', 'health', '--device-dir', device, '--json']);
    expect(result.error()).toMatchObject({ error: 'NOT_PAIRED', exitCode: 2 });
  });

  it('is a program', async () => {
    const loader = pathToFileURL('test/store/typescript-loader.mjs').href;
    const child = spawn(process.execPath, ['--import', loader, 'src/cli/main.ts', 'frobnicate', '--json']);
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, error: JSON.parse(stderr) as unknown }).toMatchObject({
      code: 2,
      error: { error: 'USAGE' },
    });
  });
});

import { constants } from 'node:fs';
import { access, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type CommandOptions, type Finished, PalyraCommand, objectsOf, palyra } from './palyra-command.js';
import { withWrongPin } from './paired-device.js';
import { COMMAND, ServiceProcess } from './service-process.js';

/** Nothing listens there. */
const NOWHERE = '127.0.0.1:1';

interface Minted {
  readonly secretText: string;
}

/** The `palyra` command as processes: what scripts go by, above all how it exits. */
describe('the palyra command', () => {
  let service: ServiceProcess;
  let parent: string;

  beforeAll(async () => {
    service = await ServiceProcess.start();
  });

  afterAll(async () => {
    await service.remove();
  });

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'palyra-cli-'));
  });

  afterEach(async () => {
    await rm(parent, { recursive: true });
  });

  /** Endpoint, token and device store as a shell would have them. */
  const environment = (): Record<string, string> => ({
    PALYRA_ENDPOINT: service.grpc.text,
    PALYRA_DATA_DIR: service.dataDir,
    PALYRA_DEVICE_DIR: join(parent, 'device'),
  });

  const run = (commandLine: string, options: CommandOptions = {}): Promise<Finished> =>
    palyra(commandLine.split(' '), { environment: environment(), ...options });

  const start = (commandLine: string, options: CommandOptions = {}): PalyraCommand =>
    new PalyraCommand(commandLine.split(' '), { environment: environment(), ...options });

  async function mint(): Promise<string> {
    const { stdout } = await run('pairing code --json');
    return (objectsOf(stdout) as unknown as [Minted])[0].secretText;
  }

  const pair = async (code?: string): Promise<PalyraCommand> =>
    start('pairing pair --json --proof-stdin', { stdin: `${code ?? (await mint())}\n` });

  it('is a file that a shell can run after each `npm run build`: npx makes it one only the first time', async () => {
    await expect(access(COMMAND, constants.X_OK)).resolves.toBeUndefined();
  });

  it('goes the whole way: code, pair, list, approve, health, revoke', async () => {
    const device = await pair();
    const { words, deviceId } = (await device.event('device')) as { words: string[]; deviceId: string };
    const { requestId } = (await device.event('waiting_for_approval')) as { requestId: string };
    const listed = await run('pairing list');
    expect(listed.stdout).toContain(requestId);
    expect(listed.stdout).toContain(words.join(' '));
    expect(await run(`pairing approve ${requestId}`)).toMatchObject({ code: 0, stderr: '' });
    expect(await device.ended).toMatchObject({ code: 0, stderr: '' });
    const health = await run('node health --json');
    expect(health.code).toBe(0);
    expect(objectsOf(health.stdout)).toMatchObject([{ ok: true, node_rpc_mtls_required: true }]);
    expect(await run(`devices revoke ${deviceId} --reason lost`)).toMatchObject({ code: 0 });
    const certificates = await run('certificates list --state revoked --expires-within 2d');
    expect(certificates).toMatchObject({ code: 0, stderr: '' });
    expect(certificates.stdout).toContain(`device/${deviceId}`);
    expect(certificates.stdout).toMatch(/\d+ valid, 0 expired, 1 revoked\n$/);
    const after = await run('node health');
    expect(after).toMatchObject({ code: 3, stdout: '' });
  });

  it('ends 2 when it is used wrongly', async () => {
    expect(await run('pairing nonsense')).toMatchObject({ code: 2, stdout: '' });
    expect(await run('pairing code --ttl forever')).toMatchObject({ code: 2, stdout: '' });
  });

  it('ends 2 for settings that do not hold, and opens no door', async () => {
    const wrong = {
      ...environment(),
      PALYRA_DATA_DIR: join(parent, 'data'),
      PALYRA_CERT_VALIDITY: 'forever',
    };
    const ended = await run('serve', { environment: wrong });
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain('PALYRA_CERT_VALIDITY');
    expect(await readdir(parent)).toEqual([]);
  });

  it('takes no code on the command line unless that is asked for', async () => {
    const code = await mint();
    const refused = await run(`pairing pair --proof ${code}`);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('--allow-insecure-proof-arg');
    expect(refused.stdout + refused.stderr).not.toContain(code);
    expect(await readdir(parent)).toEqual([]);
    const device = start(`pairing pair --json --allow-insecure-proof-arg --proof ${code}`);
    await device.event('waiting_for_approval');
    device.signal('SIGKILL');
    await device.ended;
  });

  it('ends 3 for a wrong code, makes nothing, and says what to do', async () => {
    const ended = await (await pair(withWrongPin(await mint()))).ended;
    expect(ended).toMatchObject({ code: 3, stdout: '' });
    expect(JSON.parse(ended.stderr)).toMatchObject({ error: 'CONFIRMATION_FAILED', exitCode: 3 });
    expect(ended.stderr).toContain('ask for a new code');
    expect(await readdir(parent)).toEqual([]);
  });

  it('ends 3 when an operator rejects the device', async () => {
    const device = await pair();
    const { requestId } = (await device.event('waiting_for_approval')) as { requestId: string };
    await palyra(['pairing', 'reject', requestId, '--reason', 'not one of ours'], {
      environment: environment(),
    });
    const ended = await device.ended;
    expect(ended.code).toBe(3);
    expect(JSON.parse(ended.stderr)).toMatchObject({ error: 'REJECTED' });
    expect(ended.stderr).toContain('not one of ours');
  });

  it('ends 3 when the token is not valid', async () => {
    const token = await service.adminToken();
    const path = join(parent, 'token');
    await writeFile(path, token.replace(/_[^_]{8}_/, '_00000000_'), { mode: 0o600 });
    const ended = await run(`pairing list --token-file ${path}`);
    expect(ended).toMatchObject({ code: 3, stdout: '' });
    expect(ended.stderr).not.toContain(token.split('_')[2]);
  });

  it('ends 4 when nothing listens', async () => {
    const [operator, device] = await Promise.all([
      run(`pairing list --endpoint ${NOWHERE}`),
      run(`pairing pair --proof-stdin --endpoint ${NOWHERE}`, { stdin: 'K7QM-482913\n' }),
    ]);
    expect(operator).toMatchObject({ code: 4, stdout: '' });
    expect(device).toMatchObject({ code: 4, stdout: '' });
    expect(await readdir(parent)).toEqual([]);
  });

  it('ends 130 at Ctrl-C and 5 when its time has passed, and goes on when it is run again', async () => {
    const device = await pair();
    const { requestId } = (await device.event('waiting_for_approval')) as { requestId: string };
    device.signal('SIGINT');
    expect(await device.ended).toMatchObject({ code: 130 });
    expect(await run('pairing pair --json --timeout 500ms')).toMatchObject({ code: 5 });
    expect(await run(`pairing approve ${requestId}`)).toMatchObject({ code: 0 });
    expect(await run('pairing pair --json')).toMatchObject({ code: 0 });
  });

  it('shows no secret in config check', async () => {
    const token = join(parent, 'metrics-token');
    await writeFile(token, 'a-secret-metrics-token\n', { mode: 0o600 });
    const secret = 'postgres://palyra:a-secret-password@db/palyra';
    const settings = { ...environment(), PALYRA_METRICS_TOKEN_FILE: token };
    for (const flags of ['', ' --json']) {
      const checked = await run(`config check${flags}`, { environment: settings });
      expect(checked.code).toBe(0);
      expect(checked.stdout).toContain(token);
      expect(checked.stdout + checked.stderr).not.toContain('a-secret');
      const refused = await run(`config check${flags}`, {
        environment: { ...settings, PALYRA_DATABASE_URL: secret },
      });
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain('PALYRA_DATABASE_URL');
      expect(refused.stdout + refused.stderr).not.toContain('a-secret');
    }
  });
});

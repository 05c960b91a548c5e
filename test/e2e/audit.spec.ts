import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { OperatorClient } from '../../src/client/operator-client.js';
import { type CliResult, linesOf, runCommand } from '../cli/cli-run.js';
import { TestDevice, mintPin } from './paired-device.js';
import { objectsOf, palyra } from './palyra-command.js';
import { ServiceProcess } from './service-process.js';

/** The audit log of a running service in the hands of an operator; each step builds on those before it. */
describe('the audit log', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  let device: TestDevice;
  let root: string;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'palyra-audit-'));
    service = await ServiceProcess.start();
    operator = await service.operator();
    device = await TestDevice.create();
  });

  afterAll(async () => {
    await device.remove();
    await service.remove();
    await rm(root, { recursive: true });
  });

  const at = (name: string): string => join(root, name);

  const environment = (): Record<string, string> => ({
    PALYRA_ENDPOINT: service.grpc.text,
    PALYRA_DATA_DIR: service.dataDir,
    XDG_STATE_HOME: at('state'),
  });

  const run = (...commandLine: string[]): Promise<CliResult> =>
    runCommand(commandLine, { environment: environment() });

  /** Decisions that leave an entry each. */
  async function mintAndWithdraw(times: number): Promise<void> {
    for (let count = 0; count < times; count += 1) {
      const { code } = await operator.createPairingCode();
      await operator.withdrawPairingCode({ codeId: code?.codeId ?? '', reason: 'not needed' });
    }
  }

  async function pairDevice(): Promise<void> {
    await device.pair(service.grpc, await mintPin(operator), async (requestId) => {
      await operator.approveNodePairingRequest({ requestId });
    });
  }

  async function auditKey(): Promise<string> {
    return (await operator.getStatus()).auditPublicKey.toString('hex');
  }

  /** As a scraper sees it: absolute, so that its memory tells when they fall. */
  async function storeTimeMetrics(): Promise<{ epoch: number; sequence: number }> {
    const text = await (await fetch(`${service.http}/metrics`)).text();
    const value = (name: string): number => Number(new RegExp(`^${name} (\\d\\S*)$`, 'm').exec(text)?.[1]);
    return { epoch: value('palyra_store_epoch'), sequence: value('palyra_audit_sequence') };
  }

  /** Verifies what an export would be after `alter`; returns the exit code and what was found. */
  async function findings(
    alter: (lines: string[]) => string[],
    ...options: string[]
  ): Promise<{ code: number; found: unknown }> {
    const lines = alter(linesOf(await readFile(at('first.jsonl'), 'utf8')));
    await writeFile(at('altered.jsonl'), `${lines.join('\n')}\n`);
    const result = await run('audit', 'verify', at('altered.jsonl'), '--json', ...options);
    return { code: result.code, found: result.objects()[0]?.['findings'] };
  }

  it('is exported by a process, and verifies without the service', async () => {
    await pairDevice();
    await mintAndWithdraw(3);
    const { code, stdout, stderr } = await palyra(['audit', 'export', '--out', at('first.jsonl'), '--json'], {
      environment: environment(),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { sequence } = await operator.getStatus();
    expect(objectsOf(stdout)).toMatchObject([{ entries: Number(sequence), sequence: Number(sequence) }]);
    expect((await stat(at('first.jsonl'))).mode & 0o777).toBe(0o600);
    const verified = await run('audit', 'verify', at('first.jsonl'), '--key', await auditKey());
    expect(verified).toMatchObject({ code: 0, stderr: '' });
    expect(verified.stdout).toContain(`${sequence.toString()} entries`);
  });

  it('is listed for people, newest last', async () => {
    const list = await run('audit', 'list', '--limit', '2');
    const lines = linesOf(list.stdout);
    expect(lines).toHaveLength(3);
    expect(lines[2]).toContain('pairing.code_withdrawn');
    expect(lines[2]).toContain('not needed');
    const filtered = await run('audit', 'list', '--action', 'pairing.approved', '--json');
    expect(filtered.objects()).toMatchObject([
      { entry: { action: 'pairing.approved', subject: `device/${device.paired.deviceId}` } },
    ]);
  });

  it('shows what was changed, dropped, swapped or cut in an export', async () => {
    expect(await run('audit', 'head', '--out', at('head.json'))).toMatchObject({ code: 0, stderr: '' });
    const key = ['--key', await auditKey()];
    expect(await findings((lines) => lines, '--since', at('head.json'))).toEqual({ code: 0, found: [] });
    const changed = (lines: string[]): string[] =>
      lines.with(3, lines[3]!.replace('"source":"l', '"source":"m'));
    expect(await findings(changed, ...key)).toEqual({
      code: 1,
      found: [{ finding: 'changed', sequence: 4 }],
    });
    expect(await findings((lines) => lines.toSpliced(4, 1), ...key)).toEqual({
      code: 1,
      found: [{ finding: 'removed', sequence: 5 }],
    });
    expect(await findings((lines) => lines.with(2, lines[3]!).with(3, lines[2]!), ...key)).toEqual({
      code: 1,
      found: [{ finding: 'reordered', sequence: 3 }],
    });
    const head = linesOf(await readFile(at('first.jsonl'), 'utf8')).length;
    expect(await findings((lines) => lines.toSpliced(-3, 2), '--since', at('head.json'))).toEqual({
      code: 1,
      found: [{ finding: 'cut', sequence: head - 2 }],
    });
  });

  it('goes on in a second file from the first', async () => {
    await service.stop();
    await cp(service.dataDir, at('old copy'), { recursive: true });
    await service.run();
    operator = await service.operator();
    await mintAndWithdraw(2);
    await pairDevice();
    const since = ['--since-file', at('first.jsonl')];
    const exported = await run('audit', 'export', '--out', at('second.jsonl'), ...since);
    expect(exported).toMatchObject({ code: 0, stderr: '' });
    const first = linesOf(await readFile(at('first.jsonl'), 'utf8')).length;
    expect(linesOf(await readFile(at('second.jsonl'), 'utf8'))[0]).toContain(`"sequence":${first},`);
    const both = ['--since', at('first.jsonl'), '--key', await auditKey()];
    expect(await run('audit', 'verify', at('second.jsonl'), ...both)).toMatchObject({ code: 0, stderr: '' });
  });

  it('that was set back makes commands and devices shout, and an older head show it', async () => {
    const before = await storeTimeMetrics();
    await service.stop();
    await rm(service.dataDir, { recursive: true });
    await cp(at('old copy'), service.dataDir, { recursive: true });
    await service.run();
    operator = await service.operator();
    const status = await run('status', '--json');
    expect(status).toMatchObject({ code: 0 });
    expect(JSON.parse(status.stderr)).toMatchObject({
      warning: 'STORE_TIME_FELL',
      message: expect.stringContaining('put an old copy back'),
    });
    const after = await storeTimeMetrics();
    expect(after.epoch).toBe(before.epoch);
    expect(after.sequence).toBeLessThan(before.sequence);
    const again = await run('pairing', 'list');
    expect(again.code).toBe(0);
    expect(linesOf(again.stderr)).toEqual([
      expect.stringMatching(/^warning: the store of the service is older/),
    ]);
    const exported = await run('audit', 'export', '--out', at('third.jsonl'), '--json');
    expect(exported).toMatchObject({ code: 0, stderr: expect.stringContaining('STORE_TIME_FELL') });
    const since = ['--since', at('second.jsonl'), '--key', await auditKey(), '--json'];
    const verified = await run('audit', 'verify', at('third.jsonl'), ...since);
    expect(verified.code).toBe(1);
    const { entries } = exported.objects()[0] as { entries: number };
    expect(verified.objects()[0]?.['findings']).toEqual([{ finding: 'cut', sequence: entries + 1 }]);
    device.events.length = 0;
    await pairDevice();
    expect(device.events.map(({ event }) => event)).toContain('store_time_fell');
  });
});

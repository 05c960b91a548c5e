import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PalyraCommand, objectsOf, palyra } from './palyra-command.js';
import { ServiceProcess } from './service-process.js';

interface Listed {
  readonly requests?: readonly { readonly requestId: string }[];
}

/** What operators see of the queue, on a running service with one request that waits and one that was rejected. */
describe('the queue of pairing requests', () => {
  let service: ServiceProcess;
  let parent: string;
  let waiting: Requested;
  let rejected: Requested;

  beforeAll(async () => {
    service = await ServiceProcess.start();
    parent = await mkdtemp(join(tmpdir(), 'palyra-cli-'));
    [waiting, rejected] = [await request('one'), await request('two')];
    await run('pairing', 'reject', rejected.requestId, '--reason', 'not ours');
    await rejected.device.ended;
  });

  afterAll(async () => {
    waiting.device.signal('SIGKILL');
    await waiting.device.ended;
    await service.remove();
    await rm(parent, { recursive: true });
  });

  interface Requested {
    readonly device: PalyraCommand;
    readonly requestId: string;
    readonly codeId: string;
  }

  const environment = (device = 'device'): Record<string, string> => ({
    PALYRA_ENDPOINT: service.grpc.text,
    PALYRA_DATA_DIR: service.dataDir,
    PALYRA_DEVICE_DIR: join(parent, device),
  });

  const run = (...commandLine: string[]): ReturnType<typeof palyra> =>
    palyra(commandLine, { environment: environment() });

  async function request(name: string): Promise<Requested> {
    const minted = objectsOf((await run('pairing', 'code', '--json')).stdout);
    const [{ secretText }] = minted as unknown as [{ secretText: string }];
    const device = new PalyraCommand(['pairing', 'pair', '--json', '--proof-stdin'], {
      environment: environment(name),
      stdin: `${secretText}\n`,
    });
    const { requestId } = (await device.event('waiting_for_approval')) as { requestId: string };
    return { device, requestId, codeId: secretText.slice(0, 4) };
  }

  async function listed(...filter: string[]): Promise<string[]> {
    const { stdout, code } = await run('pairing', 'list', '--json', ...filter);
    expect(code).toBe(0);
    const [page] = objectsOf(stdout) as unknown as [Listed];
    return (page.requests ?? []).map(({ requestId }) => requestId);
  }

  it('is listed by state, kind, code and age', async () => {
    const both = [rejected.requestId, waiting.requestId];
    expect(await listed()).toEqual(both);
    expect(await listed('--state', 'pending_approval')).toEqual([waiting.requestId]);
    expect(await listed('--state', 'rejected')).toEqual([rejected.requestId]);
    expect(await listed('--code', rejected.codeId.toLowerCase())).toEqual([rejected.requestId]);
    expect(await listed('--client-kind', 'node')).toEqual(both);
    expect(await listed('--client-kind', 'cli')).toEqual([]);
    expect(await listed('--max-age', '1h')).toEqual(both);
    expect(await listed('--max-age', '400d', '--min-age', '0s')).toEqual(both);
    expect(await listed('--min-age', '1h')).toEqual([]);
    expect(await listed('--min-age', '400d')).toEqual([]);
    const text = await run('pairing', 'list', '--state', 'rejected');
    expect(text.stdout).toContain(rejected.requestId);
    expect(text.stdout).not.toContain(waiting.requestId);
  });

  it.each([
    ['as text', [], /rejected by operator\/\S+/],
    ['as JSON', ['--json'], /"state":"[A-Z_]+_REJECTED"/],
  ] as const)('is watched %s: what waits, and then what changes', async (name, options, decided) => {
    const commandLine = ['pairing', 'watch', ...options];
    const watch = new PalyraCommand(commandLine, { environment: environment() });
    const line = (requestId: string, pattern = /^/): Promise<string> =>
      watch.told(requestId, () =>
        watch.stdout
          .split('\n')
          .slice(0, -1)
          .find((text) => text.includes(requestId) && pattern.test(text)),
      );
    await line(waiting.requestId);
    const next = await request(name.replace(' ', '-'));
    await line(next.requestId);
    await run('pairing', 'reject', next.requestId);
    await line(next.requestId, decided);
    expect(watch.stdout).not.toContain(rejected.requestId);
    watch.signal('SIGKILL');
    await Promise.all([watch.ended, next.device.ended]);
  });
});

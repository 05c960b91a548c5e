import { type handleServerStreamingCall, type handleUnaryCall, Metadata, status } from '@grpc/grpc-js';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ControlPlaneService,
  type ExportAuditRequest,
  ExportAuditResponse,
  type GetStatusRequest,
  GetStatusResponse,
} from '../../src/generated/palyra/controlplane/v1/control_plane.js';
import { formatOperatorToken, newOperatorToken } from '../../src/operators/token.js';
import { certificateKeyHash } from '../../src/pairing/protocol/root-pin.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { TestCa } from '../ca/test-ca.js';
import { linesOf, runCommand, type CliResult } from './cli-run.js';
import { domainStatus } from './domain-status.js';
import { startGrpcServer, type RunningServer } from './grpc-server.js';

type ExportCall = Parameters<handleServerStreamingCall<ExportAuditRequest, ExportAuditResponse>>[0];

const entry = ExportAuditResponse.fromPartial({
  item: { $case: 'entry', value: { sequence: 1n, action: 'store.created\u001b[2J', details: '{}' } },
});
const head = ExportAuditResponse.fromPartial({ item: { $case: 'head', value: { sequence: 1n } } });

/** The commands against a service that misbehaves; with a true one: test/e2e/audit.spec.ts. */
describe('palyra audit with a service', () => {
  let server: RunningServer;
  let directory: string;
  let token: string;
  let answer: (call: ExportCall) => void;
  /** Sequence that the service says it is at. */
  let sequence = 1;

  const storeTime = (): Metadata => {
    const metadata = new Metadata();
    metadata.set('palyra-epoch', '1780000000123');
    metadata.set('palyra-sequence', String(sequence));
    return metadata;
  };

  beforeAll(async () => {
    const ca = await TestCa.create();
    const getStatus: handleUnaryCall<GetStatusRequest, GetStatusResponse> = (call, callback) => {
      call.sendMetadata(storeTime());
      callback(null, GetStatusResponse.fromPartial({ sequence: 1n }));
    };
    const exportAudit = (call: ExportCall): void => {
      call.sendMetadata(storeTime());
      answer(call);
    };
    server = await startGrpcServer(await ca.server(), [[ControlPlaneService, { getStatus, exportAudit }]]);
    token = formatOperatorToken(newOperatorToken(certificateKeyHash(ca.bundle.roots[0]!), systemRandomBytes));
  });

  afterAll(() => {
    server.close();
  });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'palyra-audit-'));
    await writeFile(join(directory, 'token'), token, { mode: 0o600 });
    sequence = 1;
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  const run = (commandLine: readonly string[], state = join(directory, 'state')): Promise<CliResult> =>
    runCommand(
      [...commandLine, '--endpoint', server.endpoint.text, '--token-file', join(directory, 'token')],
      { environment: { XDG_STATE_HOME: state } },
    );

  const out = (): string => join(directory, 'export.jsonl');

  it.each([
    [
      'is broken off',
      'GOING_AWAY',
      (call: ExportCall) => {
        call.write(entry);
        call.emit('error', domainStatus(status.UNAVAILABLE, 'GOING_AWAY', 'later'));
      },
    ],
    [
      'ends without a head',
      'NO_ANSWER',
      (call: ExportCall) => {
        call.write(entry);
        call.end();
      },
    ],
    [
      'goes on behind its head',
      'NO_ANSWER',
      (call: ExportCall) => {
        call.write(head);
        call.write(entry);
        call.end();
      },
    ],
  ])(
    'leaves the file as it was, and nothing beside it, when the export %s',
    async (_how, reason, answers) => {
      answer = answers;
      await writeFile(out(), 'as it was');
      const result = await run(['audit', 'export', '--out', out(), '--json']);
      expect(result.error()).toMatchObject({ error: reason });
      expect(await readFile(out(), 'utf8')).toBe('as it was');
      expect((await readdir(directory)).sort()).toEqual(['export.jsonl', 'state', 'token']);
    },
  );

  it('says that the file cannot be written before it asks for entries', async () => {
    answer = () => {
      throw new Error('the service was asked');
    };
    const result = await run(['audit', 'export', '--out', join(directory, 'absent', 'x'), '--json']);
    expect(result.error()).toMatchObject({ error: 'AUDIT_FILE_UNWRITABLE', exitCode: 1 });
  });

  it.each([
    ['TWO_STARTS', ['--after', '1', '--since-file', 'x']],
    ['SEQUENCE', ['--after', '-1']],
    ['SEQUENCE', ['--after', '01']],
  ])('exits 2 with %s for %j', async (reason, options) => {
    const result = await run(['audit', 'export', '--out', out(), '--json', ...options]);
    expect(result.error()).toMatchObject({ error: reason, exitCode: 2 });
  });

  it.each(['0', '10001', 'all'])('exits 2 for --limit %s', async (limit) => {
    const result = await run(['audit', 'list', '--json', '--limit', limit]);
    expect(result.error()).toMatchObject({ error: 'LIMIT', exitCode: 2 });
  });

  it('lets no entry write to the terminal', async () => {
    answer = (call) => {
      call.write(entry);
      call.write(head);
      call.end();
    };
    const result = await run(['audit', 'list']);
    expect(result.code).toBe(0);
    expect(linesOf(result.stdout)[1]).toContain('store.created\\u{1b}[2J');
  });

  it('warns once a command, and in every command, until the sequence has passed the one remembered', async () => {
    answer = (call) => {
      call.write(head);
      call.end();
    };
    sequence = 9;
    expect(await run(['status'])).toMatchObject({ code: 0, stderr: '' });
    sequence = 8;
    for (const command of [['audit', 'head'], ['status']]) {
      const { code, stderr } = await run(command);
      expect({ code, warnings: linesOf(stderr) }).toEqual({
        code: 0,
        warnings: [
          expect.stringMatching(/^warning: the store .* epoch 1780000000123, sequence 9 .* sequence 8/),
        ],
      });
    }
    sequence = 10;
    expect(await run(['status'])).toMatchObject({ code: 0, stderr: '' });
  });

  it('does its work where nothing can be remembered, and says so once', async () => {
    const result = await run(['status', '--json'], join(directory, 'token'));
    expect(result.code).toBe(0);
    expect(result.objects()).toHaveLength(1);
    expect(result.error()).toMatchObject({
      warning: 'STORE_MEMORY',
      message: expect.stringContaining('ENOTDIR'),
    });
  });
});

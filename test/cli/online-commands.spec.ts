import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type handleUnaryCall, status } from '@grpc/grpc-js';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  type ApproveNodePairingRequestRequest,
  type ApproveNodePairingRequestResponse,
  ControlPlaneService,
  GetDeviceResponse,
  type ListNodePairingRequestsRequest,
  ListNodePairingRequestsResponse,
} from '../../src/generated/palyra/controlplane/v1/control_plane.js';
import { GetClockResponse } from '../../src/generated/palyra/controlplane/v1/clock.js';
import { DeviceState } from '../../src/generated/palyra/controlplane/v1/device.js';
import { PairingState } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { PruneStoreResponse } from '../../src/generated/palyra/controlplane/v1/prune.js';
import { formatOperatorToken, newOperatorToken } from '../../src/operators/token.js';
import { formatPinCode, type PinCode } from '../../src/pairing/protocol/code.js';
import { certificateKeyHash } from '../../src/pairing/protocol/root-pin.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import type { Verifier } from '../../src/spake2plus/verifier.js';
import { TestCa } from '../ca/test-ca.js';
import { linesOf, runCommand, type CliResult } from './cli-run.js';
import { domainStatus } from './domain-status.js';
import { startGrpcServer, type RunningServer } from './grpc-server.js';
import { PairingServer, verifiersOf } from './pairing-server.js';

const PIN: PinCode = { kind: 'pin', codeId: 'K7QM', pin: '482913' };

const PRUNED = [
  { what: 'certificates', records: 3n, keptFor: { seconds: 7_776_000n, nanos: 0 } },
  { what: 'requests', records: 0n, keptFor: { seconds: 0n, nanos: 0 } },
];
const CLOCK = { doubt: 'CLOCK_BEHIND', deviation: { seconds: -3_600n, nanos: -500_000_000 } };
const REVOKED = {
  deviceId: '01K9ZZZZZZZZZZZZZZZZZZZZZZ',
  state: DeviceState.DEVICE_STATE_REVOKED,
  revokeTime: new Date(0),
};

/** A call that answers the same to all. */
function answering<Answer>(answer: Answer): handleUnaryCall<unknown, Answer> {
  return (_call, callback) => {
    callback(null, answer);
  };
}

describe('palyra with a service', () => {
  let ca: TestCa;
  let codes: ReadonlyMap<string, Verifier>;
  let directory: string;

  beforeAll(async () => {
    ca = await TestCa.create();
    codes = await verifiersOf([PIN]);
  });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'palyra-cli-'));
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  describe('operator commands', () => {
    let server: RunningServer;
    let token: string;
    let decide: handleUnaryCall<ApproveNodePairingRequestRequest, ApproveNodePairingRequestResponse>;

    beforeAll(async () => {
      const listNodePairingRequests: handleUnaryCall<
        ListNodePairingRequestsRequest,
        ListNodePairingRequestsResponse
      > = (call, callback) => {
        callback(null, page(call.request.pageToken));
      };
      const approveNodePairingRequest: typeof decide = (call, callback) => {
        decide(call, callback);
      };
      const service = {
        listNodePairingRequests,
        approveNodePairingRequest,
        pruneStore: answering(PruneStoreResponse.fromPartial({ pruned: PRUNED })),
        getClock: answering(GetClockResponse.fromPartial({ clock: CLOCK })),
        getDevice: answering(GetDeviceResponse.fromPartial({ device: REVOKED })),
      };
      server = await startGrpcServer(await ca.server(), [[ControlPlaneService, service]]);
    });

    afterAll(() => {
      server.close();
    });

    beforeEach(async () => {
      token = join(directory, 'token');
      const text = formatOperatorToken(
        newOperatorToken(certificateKeyHash(ca.bundle.roots[0]!), systemRandomBytes),
      );
      await writeFile(token, text, { mode: 0o600 });
    });

    /** Two pages of one request each; the device of the first tries to write to the operator's terminal. */
    function page(pageToken: string): ListNodePairingRequestsResponse {
      const hostile = 'linux\u001b[2A\u001b[2K\nREQUEST  approved \u202eevil';
      return ListNodePairingRequestsResponse.fromPartial({
        requests: [
          {
            requestId: pageToken === '' ? 'first' : 'second',
            state: PairingState.PAIRING_STATE_PENDING_APPROVAL,
            platform: pageToken === '' ? hostile : 'linux',
            fingerprintWords: ['daring', 'butter'],
          },
        ],
        nextPageToken: pageToken === '' ? 'next' : '',
      });
    }

    async function operator(...commandLine: string[]): Promise<CliResult> {
      return runCommand([...commandLine, '--endpoint', server.endpoint.text, '--token-file', token]);
    }

    it('read all pages, and let no device write to the terminal', async () => {
      const result = await operator('pairing', 'list');
      expect(result.code).toBe(0);
      const lines = linesOf(result.stdout);
      expect(lines).toHaveLength(3);
      expect(lines[1]).toContain('linux\\u{1b}[2A\\u{1b}[2K\\u{a}REQUEST  approved \\u{202e}evil');
      expect(lines[2]).toContain('second');
    });

    it('give proto JSON on one line', async () => {
      const result = await operator('pairing', 'list', '--json');
      expect(linesOf(result.stdout)).toHaveLength(1);
      const [{ requests }] = result.objects() as [{ requests: { requestId: string; state: string }[] }];
      expect(requests.map(({ requestId, state }) => [requestId, state])).toEqual([
        ['first', 'PAIRING_STATE_PENDING_APPROVAL'],
        ['second', 'PAIRING_STATE_PENDING_APPROVAL'],
      ]);
      expect(result.stdout).not.toContain('\u202e');
    });

    it('give durations as proto JSON does', async () => {
      const prune = await operator('store', 'prune', '--dry-run', '--json');
      expect(prune.objects()).toEqual([
        {
          pruned: [
            { what: 'certificates', records: '3', keptFor: '7776000s' },
            { what: 'requests', keptFor: '0s' },
          ],
        },
      ]);
      const clock = await operator('clock', 'show', '--json');
      expect(clock.objects()).toEqual([{ clock: { doubt: 'CLOCK_BEHIND', deviation: '-3600.500s' } }]);
    });

    it('show what a revoked device has no more as `-`', async () => {
      const { stdout } = await operator('devices', 'show', REVOKED.deviceId);
      expect(stdout).toMatch(/^certificate {2,}-$/m);
      expect(stdout).toMatch(/^certificate ends {2,}-$/m);
    });

    it.each([
      [status.FAILED_PRECONDITION, 'ALREADY_DECIDED', 1],
      [status.FAILED_PRECONDITION, 'IDENTITY_CHANGED', 1],
      [status.NOT_FOUND, 'REQUEST_NOT_FOUND', 1],
      [status.INVALID_ARGUMENT, 'INVALID_REASON', 2],
      [status.PERMISSION_DENIED, 'ROLE', 3],
      [status.UNAUTHENTICATED, 'BAD_CREDENTIAL', 3],
      [status.UNAVAILABLE, 'STORE_FULL', 4],
    ])('end for status %d %s with exit code %d', async (code, reason, exitCode) => {
      decide = (_call, callback) => {
        callback(domainStatus(code, reason, 'what to do'));
      };
      const result = await operator('pairing', 'approve', 'first', '--json');
      expect(result).toMatchObject({ code: exitCode, stdout: '' });
      expect(result.error()).toMatchObject({ error: reason, exitCode, message: 'what to do' });
    });

    it('exit 5 when --timeout passed', async () => {
      decide = () => undefined;
      const result = await operator('pairing', 'approve', 'first', '--timeout', '300ms');
      expect(result).toMatchObject({ code: 5, stderr: expect.stringContaining('300ms have passed') });
    });
  });

  describe('pairing pair', () => {
    let server: PairingServer;
    let device: string;

    beforeEach(async () => {
      server = await PairingServer.start(codes, ca);
      device = join(directory, 'device');
    });

    afterEach(() => {
      server.stop();
    });

    const commandLine = (...more: string[]): string[] => [
      ...['pairing', 'pair', '--endpoint', server.endpoint.text, '--device-dir', device, '--proof-stdin'],
      ...more,
    ];

    it('tells a script of each step', async () => {
      const result = await runCommand(commandLine('--json'), {
        stdin: `${formatPinCode(PIN)}\n`,
        onStdout: (text) => {
          if (
            text.endsWith('\n') &&
            text.includes('waiting_for_approval') &&
            !text.includes('"certificate"')
          ) {
            void server.approve();
          }
        },
      });
      expect(result).toMatchObject({ code: 0, stderr: '' });
      const deviceId = server.requests[0]!.deviceId;
      const hex = expect.stringMatching(/^[0-9a-f]{64}$/);
      expect(result.objects()).toEqual([
        { event: 'device', deviceId, fingerprint: hex, words: expect.any(Array) },
        { event: 'waiting_for_approval', requestId: 'request-1', expireTime: expect.any(String) },
        { event: 'certificate', deviceId, fingerprint: hex, expireTime: expect.any(String) },
      ]);
    });

    it('exits 3 for a wrong PIN, and leaves not even the directory', async () => {
      const result = await runCommand(commandLine(), { stdin: 'K7QM-482914' });
      expect(result).toMatchObject({ code: 3, stdout: '' });
      expect(result.stderr).toContain('the server does not know this code');
      expect(await readdir(directory)).toEqual([]);
    });

    it('exits 3 with the reason when it was rejected', async () => {
      const result = await runCommand(commandLine(), {
        stdin: formatPinCode(PIN),
        onStdout: (text) => {
          if (text.includes('waiting for approval')) server.reject('unknown\u001b[2J');
        },
      });
      expect(result).toMatchObject({ code: 3, stderr: expect.stringContaining('unknown\\u{1b}[2J') });
    });

    it('exits 130 on Ctrl-C and 5 when --timeout passed, and goes on when run again', async () => {
      const loader = pathToFileURL('test/store/typescript-loader.mjs').href;
      const child = spawn(process.execPath, ['--import', loader, 'src/cli/main.ts', ...commandLine()]);
      child.stdin.end(`${formatPinCode(PIN)}\n`);
      let stdout = '';
      child.stdout.on('data', (chunk: Buffer) => {
        stdout += chunk.toString();
        if (stdout.includes('waiting for approval')) child.kill('SIGINT');
      });
      const [code] = (await once(child, 'close')) as [number];
      expect(code).toBe(130);
      const second = await runCommand(commandLine('--timeout', '300ms'));
      expect(second).toMatchObject({
        code: 5,
        stderr: expect.stringContaining('run the same command again'),
      });
      await server.approve();
      const third = await runCommand(commandLine());
      expect(third).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('certificate  ') });
    });
  });
});

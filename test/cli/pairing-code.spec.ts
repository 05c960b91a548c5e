import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type handleUnaryCall, status } from '@grpc/grpc-js';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ControlPlaneService,
  type CreatePairingCodeRequest,
  CreatePairingCodeResponse,
} from '../../src/generated/palyra/controlplane/v1/control_plane.js';
import { ClientKind, PairingCodeKind } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { qrLines, qrPng, qrSvg } from '../../src/cli/pairing/qr-picture.js';
import { formatOperatorToken, newOperatorToken } from '../../src/operators/token.js';
import { certificateKeyHash } from '../../src/pairing/protocol/root-pin.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { TestCa } from '../ca/test-ca.js';
import { type CliResult, runCommand } from './cli-run.js';
import { domainStatus } from './domain-status.js';
import { type RunningServer, startGrpcServer } from './grpc-server.js';

const LINK = `palyra://pair?v=2&endpoint=localhost:7443&code=K7QM48AB&secret=${'A'.repeat(21)}Q&ca=${'b'.repeat(42)}M`;

describe('palyra pairing code', () => {
  let server: RunningServer;
  let token: string;
  let directory: string;
  let asked: CreatePairingCodeRequest[];
  let refuse = false;

  beforeAll(async () => {
    const ca = await TestCa.create();
    const createPairingCode: handleUnaryCall<CreatePairingCodeRequest, CreatePairingCodeResponse> = (
      call,
      callback,
    ) => {
      asked.push(call.request);
      if (refuse) callback(domainStatus(status.FAILED_PRECONDITION, 'PRE_APPROVAL_OFF', 'not here'));
      else callback(null, CreatePairingCodeResponse.fromPartial({ secretText: LINK, code: call.request }));
    };
    server = await startGrpcServer(await ca.server(), [[ControlPlaneService, { createPairingCode }]]);
    const made = newOperatorToken(certificateKeyHash(ca.bundle.roots[0]!), systemRandomBytes);
    token = formatOperatorToken(made);
  });

  afterAll(() => {
    server.close();
  });

  beforeEach(async () => {
    asked = [];
    refuse = false;
    directory = await mkdtemp(join(tmpdir(), 'palyra-code-'));
    await writeFile(join(directory, 'token'), token, { mode: 0o600 });
  });

  afterEach(() => rm(directory, { recursive: true }));

  function mint(...options: string[]): Promise<CliResult> {
    const common = ['--endpoint', server.endpoint.text, '--token-file', join(directory, 'token')];
    return runCommand(['pairing', 'code', ...options, ...common]);
  }

  it('asks for a PIN code of the ordinary kind', async () => {
    expect((await mint()).code).toBe(0);
    expect(asked).toMatchObject([
      {
        kind: PairingCodeKind.PAIRING_CODE_KIND_PIN,
        policy: { uses: 0, preApproved: false, clientKinds: [], deviceIdPattern: '' },
      },
    ]);
  });

  it('asks for a link with its policy', async () => {
    const result = await mint(
      ...['--uses', '50', '--pre-approved', '--client-kind', 'node, cli', '--device-ids', '01m8*'],
    );
    expect(asked).toMatchObject([
      {
        kind: PairingCodeKind.PAIRING_CODE_KIND_LINK,
        policy: {
          uses: 50,
          preApproved: true,
          clientKinds: [ClientKind.CLIENT_KIND_NODE, ClientKind.CLIENT_KIND_CLI],
          deviceIdPattern: '01M8*',
        },
      },
    ]);
    expect(result.stdout).toContain('beforehand');
  });

  it.each([
    ['COUNT', ['--uses', 'many']],
    ['COUNT', ['--uses', '0']],
    ['KIND', ['--client-kind', 'node,toaster']],
    ['QR_FILE', ['--qr-file', 'link.jpeg']],
  ])('refuses wrong use with %s before it asks for anything', async (reason, options) => {
    const result = await mint(...options, '--json');
    expect([result.code, result.error()]).toMatchObject([2, { error: reason }]);
    expect(asked).toEqual([]);
  });

  it('draws the link on the terminal, without colours where there is none', async () => {
    const { stdout } = await mint('--qr');
    expect(stdout.startsWith(`${LINK}\n`)).toBe(true);
    expect(stdout.endsWith(`${qrLines(LINK).join('\n')}\n`)).toBe(true);
  });

  it.each([
    ['link.svg', Buffer.from(qrSvg(LINK))],
    ['link.PNG', qrPng(LINK)],
  ])('draws the link into %s, which nobody else can read', async (name, picture) => {
    expect((await mint('--qr-file', join(directory, name))).code).toBe(0);
    expect((await readFile(join(directory, name))).equals(picture)).toBe(true);
    expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
  });

  it('never writes over a file, and mints nothing then', async () => {
    const path = join(directory, 'link.svg');
    await writeFile(path, 'mine');
    const result = await mint('--qr-file', path, '--json');
    expect([result.code, result.error()]).toMatchObject([2, { error: 'QR_FILE' }]);
    expect(asked).toEqual([]);
    expect(await readFile(path, 'utf8')).toBe('mine');
  });

  it('leaves no file when no code was minted', async () => {
    refuse = true;
    expect((await mint('--qr-file', join(directory, 'link.svg'))).code).toBe(1);
    expect(await readdir(directory)).toEqual(['token']);
  });
});

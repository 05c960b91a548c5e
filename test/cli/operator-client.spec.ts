import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type handleUnaryCall, Metadata, type ServerUnaryCall, status } from '@grpc/grpc-js';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { ClientError } from '../../src/client/client-error.js';
import { requireEndpoint } from '../../src/client/grpc/endpoint.js';
import { OperatorClient } from '../../src/client/operator-client.js';
import type { OperatorCredential } from '../../src/client/operator-credential.js';
import { RemoteError } from '../../src/client/remote-error.js';
import type { StoreTime } from '../../src/database/unit-of-work.js';
import { ErrorInfo, RetryInfo } from '../../src/generated/google/rpc/error_details.js';
import { Status } from '../../src/generated/google/rpc/status.js';
import {
  ControlPlaneService,
  type GetStatusRequest,
  GetStatusResponse,
} from '../../src/generated/palyra/controlplane/v1/control_plane.js';
import { startGrpcServer, tlsMaterial, type RunningServer } from './grpc-server.js';
import { CLIENT_AUTH, controlPlaneLeaf, issueLeaf, type Issued, makeRoot, spkiHash } from './pki.js';

const TRUST_DOMAIN = 'test.palyra.internal';
const TOKEN = 'palyra1_not-a-real-token';

describe('operator client', () => {
  let root: Issued;
  let otherRoot: Issued;
  let controlPlane: Issued;
  const servers: { close(): void }[] = [];
  /** Credentials that any server of the test saw. */
  const seen: string[] = [];

  beforeAll(async () => {
    root = await makeRoot('Test root');
    otherRoot = await makeRoot('Other root');
    controlPlane = await controlPlaneLeaf(root, TRUST_DOMAIN);
  });

  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    seen.length = 0;
  });

  type Answer = handleUnaryCall<GetStatusRequest, GetStatusResponse>;

  const answerStatus: Answer = (_call, callback) => {
    callback(null, GetStatusResponse.fromPartial({ version: '1.2.3' }));
  };

  async function serve(
    chain: readonly Issued[],
    answer: Answer = answerStatus,
    key = chain[0]!.keyPem,
  ): Promise<RunningServer> {
    const getStatus: Answer = (call, callback) => {
      seen.push(...call.metadata.get('authorization').map(String));
      answer(call, callback);
    };
    const server = await startGrpcServer({ ...tlsMaterial(chain), key }, [
      [ControlPlaneService, { getStatus }],
    ]);
    servers.push(server);
    return server;
  }

  const credential = (pinned: Issued): OperatorCredential => ({ token: TOKEN, ca: spkiHash(pinned) });

  async function connect(server: RunningServer, pinned: Issued = root): Promise<OperatorClient> {
    const client = await OperatorClient.connect(server.endpoint, credential(pinned), { timeoutMs: 5_000 });
    servers.push(client);
    return client;
  }

  async function failure(
    work: Promise<unknown>,
  ): Promise<{ failure: string; reason: string; message: string }> {
    const error = await work.then(
      () => undefined,
      (cause: unknown) => cause,
    );
    if (!(error instanceof ClientError)) throw new Error(`expected a ClientError, got ${String(error)}`);
    return error;
  }

  it('calls a server whose chain has the pinned root, by an address that its certificate does not name', async () => {
    const client = await connect(await serve([controlPlane, root]));
    await expect(client.getStatus()).resolves.toMatchObject({ version: '1.2.3' });
    expect(seen).toEqual([`Bearer ${TOKEN}`]);
  });

  it('sends nothing to a server without the pinned root', async () => {
    const server = await serve([await controlPlaneLeaf(otherRoot, TRUST_DOMAIN), otherRoot]);
    expect(await failure(connect(server))).toMatchObject({
      failure: 'refused',
      reason: 'FALSE_SERVER',
      message: expect.stringContaining('the key that the token or link names'),
    });
    expect(seen).toEqual([]);
  });

  it('sends nothing to a server that only shows the pinned root beside a leaf of another', async () => {
    const server = await serve([await controlPlaneLeaf(otherRoot, TRUST_DOMAIN), otherRoot, root]);
    const error = await failure(connect(server).then(async (client) => client.getStatus()));
    expect(error).toMatchObject({ failure: 'refused', reason: 'FALSE_SERVER' });
    expect(seen).toEqual([]);
  });

  it('sends nothing to a forger whose root has the pinned one’s name', async () => {
    const forged = await makeRoot('Test root');
    const server = await serve([await controlPlaneLeaf(forged, TRUST_DOMAIN), root]);
    const error = await failure(connect(server).then(async (client) => client.getStatus()));
    expect(error).toMatchObject({ failure: 'refused', reason: 'FALSE_SERVER' });
    expect(seen).toEqual([]);
  });

  it('sends nothing to a device of the cluster that plays CA with its key, and shows a root of its own', async () => {
    // The name that leaves have: by names and signatures its chain leads to the pinned root, too.
    const own = await makeRoot('leaf');
    const device = await issueLeaf(root, {
      uri: `spiffe://${TRUST_DOMAIN}/device/web`,
      publicKey: own.keys.publicKey,
    });
    const server = await serve([await controlPlaneLeaf(own, TRUST_DOMAIN), device, own, root]);
    const error = await failure(connect(server).then(async (client) => client.getStatus()));
    expect(error).toMatchObject({ failure: 'refused', reason: 'FALSE_SERVER' });
    expect(error.message).not.toContain('does not come from the root');
    expect(seen).toEqual([]);
  });

  it('sends nothing to a server that certified the pinned key anew', async () => {
    const uri = `spiffe://${TRUST_DOMAIN}/control-plane`;
    const borrowed = await issueLeaf(otherRoot, { uri, publicKey: root.keys.publicKey });
    const server = await serve([await controlPlaneLeaf(otherRoot, TRUST_DOMAIN), otherRoot, borrowed]);
    const error = await failure(connect(server).then(async (client) => client.getStatus()));
    expect(error).toMatchObject({ failure: 'refused', reason: 'FALSE_SERVER' });
    const signed = await serve([borrowed, otherRoot], answerStatus, root.keyPem);
    expect(await failure(connect(signed))).toMatchObject({
      failure: 'refused',
      message: expect.stringContaining('no root in its chain'),
    });
    expect(seen).toEqual([]);
  });

  it.each([
    { what: 'a service', names: { uri: `spiffe://${TRUST_DOMAIN}/service/web`, dns: ['localhost'] } },
    { what: 'a name without URI', names: { dns: [`control-plane.${TRUST_DOMAIN}`] } },
    { what: 'a URI of another kind', names: { uri: `https://${TRUST_DOMAIN}/control-plane` } },
  ])(
    'sends nothing to a certificate of the cluster that is not the control plane’s: $what',
    async ({ names }) => {
      const server = await serve([await issueLeaf(root, names), root]);
      expect(await failure(connect(server))).toMatchObject({
        failure: 'refused',
        message: expect.stringContaining('not one of a control plane'),
      });
      expect(seen).toEqual([]);
    },
  );

  it.each([
    { what: 'URI without the DNS name', change: { dns: ['localhost'] }, why: 'altnames' },
    { what: 'for clients only', change: { usages: [CLIENT_AUTH] }, why: 'purpose' },
    { what: 'expired', change: { notAfter: new Date(Date.now() - 60_000) }, why: 'expired' },
  ])('sends nothing when the leaf does not verify: $what', async ({ change, why }) => {
    const names = { uri: `spiffe://${TRUST_DOMAIN}/control-plane`, dns: [`control-plane.${TRUST_DOMAIN}`] };
    const server = await serve([await issueLeaf(root, { ...names, ...change }), root]);
    const error = await failure(connect(server).then(async (client) => client.getStatus()));
    expect(error).toMatchObject({ failure: 'refused', message: expect.stringContaining(why) });
    expect(seen).toEqual([]);
  });

  it('is not turned soft by NODE_TLS_REJECT_UNAUTHORIZED', async () => {
    const server = await serve([await controlPlaneLeaf(otherRoot, TRUST_DOMAIN), root]);
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      const error = await failure(connect(server).then(async (client) => client.getStatus()));
      expect(error.failure).toBe('refused');
      expect(seen).toEqual([]);
    } finally {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    }
  });

  it('says unreachable when nothing listens, before and after the chain was fetched', async () => {
    const server = await serve([controlPlane, root]);
    const client = await connect(server);
    server.close();
    expect(await failure(client.getStatus())).toMatchObject({
      failure: 'unreachable',
      reason: 'SERVER_UNREACHABLE',
    });
    expect(await failure(connect(server))).toMatchObject({
      failure: 'unreachable',
      message: expect.stringContaining('nothing listens there'),
    });
  });

  it('says unreachable of a server that does not speak TLS', async () => {
    const plain = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.resume().end('220 hello\r\n');
    });
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    servers.push({ close: () => plain.close() });
    const endpoint = requireEndpoint(`127.0.0.1:${(plain.address() as AddressInfo).port}`);
    const error = await failure(OperatorClient.connect(endpoint, credential(root), { timeoutMs: 2_000 }));
    expect(error).toMatchObject({
      failure: 'unreachable',
      message: expect.stringContaining('does not speak TLS'),
    });
  });

  it('gives up on a server that never answers', async () => {
    const client = await OperatorClient.connect(
      (await serve([controlPlane, root], () => undefined)).endpoint,
      credential(root),
      { timeoutMs: 300 },
    );
    servers.push(client);
    expect(await failure(client.getStatus())).toMatchObject({
      failure: 'unreachable',
      message: expect.stringContaining('did not answer in time'),
    });
  });

  it('stops a call when it is interrupted', async () => {
    const stop = new AbortController();
    const server = await serve([controlPlane, root], () => {
      stop.abort();
    });
    const client = await OperatorClient.connect(server.endpoint, credential(root), { signal: stop.signal });
    servers.push(client);
    expect(await failure(client.getStatus())).toMatchObject({ failure: 'interrupted' });
  });

  it('reads reason and retry time of what the server refused', async () => {
    const details = Status.encode({
      code: status.RESOURCE_EXHAUSTED,
      message: 'slow down',
      details: [
        {
          typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo',
          value: Buffer.from(
            ErrorInfo.encode({ reason: 'TOO_MANY_STARTS', domain: 'palyra', metadata: {} }).finish(),
          ),
        },
        {
          typeUrl: 'type.googleapis.com/google.rpc.RetryInfo',
          value: Buffer.from(RetryInfo.encode({ retryDelay: { seconds: 2n, nanos: 500_000_000 } }).finish()),
        },
      ],
    }).finish();
    const metadata = new Metadata();
    metadata.set('grpc-status-details-bin', Buffer.from(details));
    const server = await serve([controlPlane, root], (_call, callback) => {
      callback({ code: status.RESOURCE_EXHAUSTED, details: 'slow down', metadata });
    });
    const error = await (await connect(server)).getStatus().catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(RemoteError);
    expect(error).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'TOO_MANY_STARTS',
      message: 'slow down',
      retryAfterMs: 2_500,
    });
  });

  it('warns when the store time of the answers falls', async () => {
    const times = [17, 18, 16];
    const answer = (call: ServerUnaryCall<GetStatusRequest, GetStatusResponse>): void => {
      const metadata = new Metadata();
      metadata.set('palyra-epoch', '1780000000123');
      metadata.set('palyra-sequence', String(times.shift()));
      call.sendMetadata(metadata);
    };
    const server = await serve([controlPlane, root], (call, callback) => {
      answer(call);
      callback(null, GetStatusResponse.fromPartial({}));
    });
    const falls: [StoreTime, StoreTime][] = [];
    const client = await OperatorClient.connect(server.endpoint, credential(root), {
      onStoreTimeFell: (known, fallen) => falls.push([known, fallen]),
    });
    servers.push(client);
    await client.getStatus();
    await client.getStatus();
    expect(falls).toEqual([]);
    await client.getStatus();
    expect(falls).toEqual([
      [
        { epoch: 1780000000123, sequence: 18 },
        { epoch: 1780000000123, sequence: 16 },
      ],
    ]);
  });
});

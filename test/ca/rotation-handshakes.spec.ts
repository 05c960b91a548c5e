import 'reflect-metadata';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { Server } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { verifyDeviceChain } from '../../src/ca/chain-verification.js';
import { DEFAULT_CERT_VALIDITY } from '../../src/ca/issued-certificate.js';
import { encodePem } from '../../src/ca/pem.js';
import { trustBundlePem, type QuicRuntimeTlsMaterial } from '../../src/ca/trust-bundle.js';
import { RenewableServerCredentials } from '../../src/grpc/server-credentials.js';
import type { TlsIdentity } from '../../src/quic/quiche-config.js';
import { TestDoor } from '../quic/quic-door.js';
import { RawPeer } from '../quic/raw-peer.js';
import { admin, DAY_MS, RotationWorld, TRUST_DOMAIN } from './rotation-world.js';
import { TestCa, type TestDevice } from './test-ca.js';

/** Handshakes on the real doors at every step of a rotation. */

const TIME_LIMIT_MS = 60_000;
/** QUIC's code of the TLS alert certificate_required: 256 + 116. */
const CERTIFICATE_REQUIRED = 372;
const SERVERNAME = `control-plane.${TRUST_DOMAIN}`;

let world: RotationWorld;
let grpc: Server;
let grpcPort: number;
let grpcCredentials: RenewableServerCredentials;
let quic: TestDoor;

beforeAll(async () => {
  // TLS stacks look at the real clock, so the world's begins there.
  world = await RotationWorld.open({ startAt: Date.now() });
  grpcCredentials = new RenewableServerCredentials(await newMaterial(), 10_000);
  grpc = new Server();
  grpcPort = await new Promise((resolve, reject) => {
    grpc.bindAsync('127.0.0.1:0', grpcCredentials, (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
  quic = await TestDoor.open(await TestCa.create({ trustDomain: TRUST_DOMAIN }), {
    parts: { verifyChain: (chain, now) => verifyDeviceChain(chain, bundle().roots, now, TRUST_DOMAIN) },
  });
}, TIME_LIMIT_MS);

afterAll(async () => {
  await quic.close();
  grpc.forceShutdown();
  expect(world.failures).toEqual([]);
  await world.remove();
});

const bundle = () => world.authority.trustBundle();

/** A new certificate for the doors, as the CA issues it now. */
async function newMaterial(): Promise<QuicRuntimeTlsMaterial> {
  const order = { names: [], lifetimeMs: DEFAULT_CERT_VALIDITY };
  return (await world.authority.issueControlPlaneCertificate(order)).material;
}

function serve(material: QuicRuntimeTlsMaterial): void {
  grpcCredentials.replace(material);
  quic.endpoint.replaceTlsMaterial(material);
}

/** A device in the registry, with what it is given now. */
async function newDevice(): Promise<TestDevice> {
  const { device, chain } = await world.deviceWithKey();
  quic.registry.enrol(device);
  return { ...device, chain: chain.map((der) => encodePem('CERTIFICATE', der)).join('') };
}

/** A verified TLS connection to the gRPC door; rejects when the handshake fails. */
function handshake(ca: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port: grpcPort,
    ca,
    servername: SERVERNAME,
    ALPNProtocols: ['h2'],
    ...options,
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(socket);
    });
  });
}

describe('renewals of the server certificate', () => {
  it(
    'leave open connections alone, and neither door lets anybody resume or fall back',
    async () => {
      serve(await newMaterial());
      const roots = trustBundlePem(bundle());
      const device = await newDevice();
      const lasting = await quic.connect(device, { roots });
      const onGrpc = await handshake(roots);
      const served = new Set<string>();
      let ticket: Uint8Array | undefined;
      for (let renewal = 0; renewal < 4; renewal += 1) {
        expect((await lasting.health()).ok).toBe(true);
        expect(onGrpc.destroyed).toBe(false);
        served.add(await resumesNothing(roots));
        // Another device each time: a peer that just goes keeps its place for a while.
        ticket = await quicResumesNothing(roots, await newDevice(), ticket);
        serve(await newMaterial());
      }
      expect(served.size).toBe(4);
      expect((await lasting.health()).ok).toBe(true);
      onGrpc.destroy();
      await lasting.close();
    },
    TIME_LIMIT_MS,
  );

  /** Offers `ticket`, of before the renewal, with and without a certificate. Returns a ticket of now. */
  async function quicResumesNothing(
    roots: string,
    device: TestDevice,
    ticket: Uint8Array | undefined,
  ): Promise<Uint8Array> {
    const session = ticket === undefined ? {} : { session: ticket };
    const calls = quic.handler.calls;
    await onQuic({ roots, own: undefined }, session, async (stranger) => {
      expect(stranger.native.isInEarlyData()).toBe(false);
      await stranger.runUntil(() => stranger.native.peerError() !== null);
      expect(stranger.native.peerError()?.errorCode).toBe(CERTIFICATE_REQUIRED);
    });
    expect(quic.handler.calls).toBe(calls);
    await onQuic({ roots, own: device }, session, async (peer) => {
      expect(peer.native.isInEarlyData()).toBe(false);
      await peer.runUntil(() => peer.native.isEstablished());
      expect([peer.native.isEstablished(), peer.native.isResumed()]).toEqual([true, false]);
    });
    return onQuic({ roots, own: device }, {}, async (peer) => {
      await peer.runUntil(() => peer.native.session() !== null);
      const given = peer.native.session();
      if (given === null) throw new Error('the door gave no ticket');
      return given;
    });
  }

  async function onQuic<T>(
    identity: TlsIdentity,
    session: { session?: Uint8Array },
    use: (peer: RawPeer) => Promise<T>,
  ): Promise<T> {
    const peer = await RawPeer.open(quic.port, identity, { trustDomain: TRUST_DOMAIN, ...session });
    try {
      return await use(peer);
    } finally {
      peer.close();
    }
  }

  /** Returns which certificate was served. */
  async function resumesNothing(roots: string): Promise<string> {
    await expect(handshake(roots, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    });
    const first = await handshake(roots);
    const session = await new Promise<Buffer>((resolve) => first.once('session', resolve));
    const { fingerprint256 } = first.getPeerCertificate();
    first.destroy();
    const again = await handshake(roots, { session });
    expect([again.isSessionReused(), again.getProtocol()]).toEqual([false, 'TLSv1.3']);
    again.destroy();
    return fingerprint256;
  }
});

describe('old and new clients on old and new servers', () => {
  let oldRoots: string;
  let oldDevice: TestDevice;
  let materialBefore: QuicRuntimeTlsMaterial;

  beforeAll(async () => {
    oldRoots = trustBundlePem(bundle());
    oldDevice = await newDevice();
    materialBefore = await newMaterial();
  }, TIME_LIMIT_MS);

  const steps: [string, () => Promise<unknown>, { old: string; new: string }][] = [
    ['before', () => Promise.resolve(), { old: 'answered', new: 'answered' }],
    ['prepared', () => world.rotation.prepare(admin, ''), { old: 'answered', new: 'answered' }],
    ['activated', () => world.rotation.activate(admin, '', ''), { old: 'answered', new: 'answered' }],
    // A door with the new bundle refuses natively, one with the old by the bundle of that moment.
    ['retired', retireOnceUnused, { old: 'NOT_ADMITTED', new: 'UNKNOWN_CA' }],
  ];

  /** Only the world's clock waits for the last leaf to expire: by the real one it is good, so the bundle alone refuses it. */
  async function retireOnceUnused(): Promise<void> {
    world.clock.advance(DAY_MS + 60_000);
    await world.rotation.retire(admin, '', '');
    world.clock.advance(-DAY_MS - 60_000);
  }

  it.each(steps)(
    'shake hands when the new root is %s',
    async (_name, step, oldLeafIs) => {
      await step();
      const material = await newMaterial();
      const roots = trustBundlePem(bundle());
      const device = await newDevice();
      const outcomes: string[] = [];
      for (const [server, served] of Object.entries({ old: materialBefore, new: material })) {
        serve(served);
        for (const [client, known] of Object.entries({ old: oldRoots, new: roots })) {
          const socket = await handshake(known);
          outcomes.push(`${client} client, ${server} server: gRPC ${String(socket.authorized)}`);
          socket.destroy();
          for (const [leaf, own] of Object.entries({ old: oldDevice, new: device })) {
            const outcome = await quic.attempt(own, { roots: known });
            outcomes.push(`${client} client, ${server} server, ${leaf} leaf: ${outcome}`);
          }
        }
      }
      const expected = (['old', 'new'] as const).flatMap((server) =>
        ['old', 'new'].flatMap((client) => [
          `${client} client, ${server} server: gRPC true`,
          `${client} client, ${server} server, old leaf: ${oldLeafIs[server]}`,
          `${client} client, ${server} server, new leaf: answered`,
        ]),
      );
      expect(outcomes).toEqual(expected);
      materialBefore = material;
    },
    TIME_LIMIT_MS,
  );
});

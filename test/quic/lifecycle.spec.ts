import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { issueLeaf, openIssuer } from '../../src/ca/issuer.js';
import { decodeCertificates } from '../../src/ca/pem.js';
import { type CertificateProfile, controlPlaneProfile } from '../../src/ca/profiles.js';
import { QuicClient } from '../../src/quic/quic-client.js';
import { TestCa } from '../ca/test-ca.js';
import { eventually, TestDoor, type DoorOptions } from './quic-door.js';
import { RawPeer } from './raw-peer.js';
import { UdpRelay } from './udp-relay.js';
import { newKeyPair } from '../../src/random/key-pair.js';

describe('life of the QUIC door', () => {
  let ca: TestCa;
  const doors: TestDoor[] = [];

  const open = async (options: DoorOptions = {}): Promise<TestDoor> => {
    const door = await TestDoor.open(ca, options);
    doors.push(door);
    return door;
  };

  beforeAll(async () => {
    ca = await TestCa.create();
  });

  afterEach(async () => {
    for (const door of doors.splice(0)) await door.close();
  });

  const leafServedBy = async (door: TestDoor): Promise<string> => {
    const identity = { roots: ca.rootPem, own: undefined };
    const peer = await RawPeer.open(door.port, identity, { trustDomain: ca.trustDomain });
    await peer.runUntil(() => peer.native.isEstablished());
    const [leaf] = peer.native.peerCertChain() ?? [];
    peer.close();
    return new X509Certificate(leaf!).fingerprint256;
  };

  it('serves new handshakes with new TLS material and keeps old connections', async () => {
    const door = await open();
    const client = await door.connect(await door.enrolled());
    await client.health();
    const before = await leafServedBy(door);
    const renewed = await ca.server();
    door.endpoint.replaceTlsMaterial(renewed);
    const [leaf] = decodeCertificates(renewed.chain);
    expect(await leafServedBy(door)).toBe(new X509Certificate(leaf!).fingerprint256);
    expect(await leafServedBy(door)).not.toBe(before);
    expect((await client.health()).ok).toBe(true);
    expect(await door.attempt(await door.enrolled())).toBe('answered');
  });

  it('keeps its material when the new one cannot be used', async () => {
    const door = await open();
    const other = await ca.server();
    const damaged = { ...other, key: (await ca.device()).key.replace(/[A-Za-z]/g, 'A') };
    expect(() => {
      door.endpoint.replaceTlsMaterial(damaged);
    }).toThrow(expect.objectContaining({ reason: 'TLS_MATERIAL_UNUSABLE' }));
    expect(await door.attempt(await door.enrolled())).toBe('answered');
  });

  it('tells everyone to go elsewhere when it closes, and lets the port go', async () => {
    const door = await open();
    const clients = await Promise.all([1, 2, 3].map(async () => door.connect(await door.enrolled())));
    await Promise.all(clients.map((client) => client.health()));
    await door.endpoint.close();
    const closes = await Promise.all(clients.map((client) => client.closed));
    expect(closes.map(({ code, error }) => [code, error.reason])).toEqual(
      closes.map(() => [7, 'GOING_AWAY']),
    );
    expect(door.endpoint.address).toBeUndefined();
    const next = await open({ port: door.port });
    expect(await next.attempt(await next.enrolled())).toBe('answered');
  });

  it('answers calls in flight before it closes, takes no others, and waits for no stream of events', async () => {
    const door = await open();
    const [busy, idle, listening] = await Promise.all(
      [1, 2, 3].map(async () => door.connect(await door.enrolled())),
    );
    const call = busy!.call('test.wait');
    await idle!.health();
    const events = listening!.stream('node.stream_events')[Symbol.asyncIterator]();
    await events.next();
    await eventually(() => door.handler.calls === 3);

    const closing = door.endpoint.close(60_000);
    expect((await idle!.closed).code).toBe(7);
    expect((await listening!.closed).code).toBe(7);
    const late = busy!.health().then(
      () => 'answered',
      (error: unknown) => (error as { reason: string }).reason,
    );
    expect(await door.attempt(await door.enrolled())).not.toBe('answered');
    expect(busy!.isClosed).toBe(false);
    door.handler.release();
    expect(await call).toMatchObject({ ok: true });
    expect((await busy!.closed).code).toBe(7);
    expect(await late).toBe('GOING_AWAY');
    await closing;
    expect(door.handler.calls).toBe(3);
  });

  it('waits no longer than it was given', async () => {
    const door = await open();
    const client = await door.connect(await door.enrolled());
    const call = client.call('test.wait').catch((error: unknown) => (error as { reason: string }).reason);
    await eventually(() => door.handler.calls === 1);
    await door.endpoint.close(100);
    expect(await call).toBe('GOING_AWAY');
  });

  it('resets the connections of a process that was killed', async () => {
    const keys = { retry: randomBytes(32), statelessReset: randomBytes(32) };
    const killed = await open({ parts: { keys } });
    const relay = await UdpRelay.open(killed.port);
    const client = await killed.connect(await killed.enrolled(), { port: relay.port, keepAliveMs: 50 });
    await client.health();
    // From here on the client hears nothing from the first process, as when that has been killed.
    relay.serverPort = undefined;
    await killed.endpoint.close();
    const restarted = await open({ parts: { keys } });
    relay.serverPort = restarted.port;
    expect((await client.closed).error.reason).toBe('CONNECTION_RESET');
    relay.close();
  });

  it('ends an idle connection', async () => {
    const door = await open({ settings: { idleTimeoutMs: 200 } });
    const device = await door.enrolled();
    const client = await door.connect(device);
    await client.health();
    const kept = await door.connect(device, { keepAliveMs: 50 });
    await kept.health();
    expect((await client.closed).error.reason).toBe('CONNECTION_LOST');
    expect((await kept.health()).ok).toBe(true);
  });

  it('serves IPv6', async () => {
    const door = await open({ host: '::1' });
    expect(door.endpoint.address?.host).toBe('::1');
    expect(await door.attempt(await door.enrolled())).toBe('answered');
  });

  it('serves IPv4 and IPv6 on one wildcard socket', async () => {
    const door = await open({ host: '::' });
    const device = await door.enrolled();
    expect(await door.attempt(device, { host: '127.0.0.1' })).toBe('answered');
    expect(await door.attempt(device, { host: '::1' })).toBe('answered');
  });

  it('says when a port is taken', async () => {
    const door = await open();
    await expect(TestDoor.open(ca, { port: door.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('is not believed by a client of another root or trust domain', async () => {
    const door = await open();
    const device = await door.enrolled();
    const stranger = await TestCa.create();
    expect(await door.attempt(device, { roots: stranger.rootPem })).toBe('FALSE_SERVER');
    expect(await door.attempt(device, { trustDomain: 'other.palyra.internal' })).toBe('FALSE_SERVER');
  });

  it('is not believed with a certificate that has another name', async () => {
    const door = await open();
    const device = await door.enrolled();
    const impostor = await ca.hostile('server_auth_only');
    door.endpoint.replaceTlsMaterial({ ...(await ca.server()), chain: impostor.chain, key: impostor.key });
    expect(await door.attempt(device)).toBe('FALSE_SERVER');
  });

  it('is not believed with a certificate of the cluster that has its DNS name only', async () => {
    const door = await open();
    const device = await door.enrolled();
    const pkcs8 = createPrivateKey(ca.rootKey).export({ format: 'der', type: 'pkcs8' });
    const issuer = await openIssuer(pkcs8, ca.authority.signingRoot);
    const { publicKey, privateKey } = newKeyPair('p256');
    const profile: CertificateProfile = {
      ...controlPlaneProfile(ca.trustDomain, []),
      subjectAltNames: [
        { type: 'uri', value: `spiffe://${ca.trustDomain}/service/web` },
        { type: 'dns', value: `control-plane.${ca.trustDomain}` },
      ],
    };
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    const order = { spki, issuedAt: Date.now(), lifetimeMs: 3_600_000 };
    const leaf = await issueLeaf(issuer, profile, order, randomBytes);
    const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    door.endpoint.replaceTlsMaterial(ca.authority.serverMaterial(leaf.der, key, leaf.expiresAt));
    expect(await door.attempt(device)).toBe('FALSE_SERVER');
  });

  it('says at once that nothing listens', async () => {
    const door = await open();
    const options = door.clientOptions(await door.enrolled());
    await door.endpoint.close();
    await expect(QuicClient.connect(options)).rejects.toMatchObject({ reason: 'SERVER_UNREACHABLE' });
  });

  it('gives up a server that does not answer', async () => {
    const door = await open();
    const relay = await UdpRelay.open(door.port);
    relay.serverPort = undefined;
    const options = door.clientOptions(await door.enrolled(), { port: relay.port, connectTimeoutMs: 200 });
    await expect(QuicClient.connect(options)).rejects.toMatchObject({ reason: 'CONNECT_TIMEOUT' });
    relay.close();
  });
});

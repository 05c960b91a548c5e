import { setTimeout as sleep } from 'node:timers/promises';
import { verifyDeviceChain } from '../../src/ca/chain-verification.js';
import type { QuicRuntimeTlsMaterial } from '../../src/ca/trust-bundle.js';
import { DomainError } from '../../src/errors/domain-error.js';
import type { DeviceCertificate, DeviceIdentity } from '../../src/identity/device-identity.js';
import type { NodeCall, NodeResponder, NodeRpcHandler } from '../../src/quic/node-rpc-handler.js';
import { eventResponse, healthResponse, resultResponse } from '../../src/quic/node-rpc-message.js';
import type { IdentityReader } from '../../src/quic/node-connection.js';
import { QuicClient, type QuicClientOptions } from '../../src/quic/quic-client.js';
import { QuicEndpoint, type QuicEndpointParts } from '../../src/quic/quic-endpoint.js';
import { CountingQuicObserver, type QuicEvent } from '../../src/quic/quic-observer.js';
import type { QuicSettings } from '../../src/quic/quic-settings.js';
import { serveWithConnectionLimit } from '../../src/quic/serve-with-connection-limit.js';
import { systemClock } from '../../src/time/clock.js';
import type { TestCa } from '../ca/test-ca.js';
import { type TestDevice } from '../ca/test-ca.js';

/** A registry in memory, whose reads a test can hold up before and after they look. */
export class TestRegistry implements IdentityReader {
  readonly identities = new Map<string, DeviceIdentity>();
  readonly noted: string[] = [];
  beforeRead: () => Promise<void> = () => Promise.resolve();
  afterRead: () => Promise<void> = () => Promise.resolve();

  async read(deviceId: string): Promise<DeviceIdentity | undefined> {
    await this.beforeRead();
    const identity = this.identities.get(deviceId);
    await this.afterRead();
    return identity;
  }

  noteAdmitted(deviceId: string, fingerprint: string): Promise<void> {
    this.noted.push(`${deviceId} ${fingerprint}`);
    return Promise.resolve();
  }

  enrol(device: TestDevice, changes: Partial<DeviceIdentity> = {}): DeviceIdentity {
    const identity: DeviceIdentity = {
      deviceId: device.deviceId,
      clientKind: 'node',
      platform: 'test',
      identityKey: Buffer.alloc(32, 1),
      pairedAt: Date.now(),
      current: certificateOf(device),
      previous: null,
      suspendedAt: null,
      conflictAt: null,
      ...changes,
    };
    this.identities.set(device.deviceId, identity);
    return identity;
  }
}

export function certificateOf(
  device: TestDevice,
  changes: Partial<DeviceCertificate> = {},
): DeviceCertificate {
  return {
    fingerprint: device.fingerprint,
    keyHash: null,
    serial: '00',
    issuedAt: Date.now(),
    expiresAt: Date.now() + 3_600_000,
    firstAdmittedAt: null,
    ...changes,
  };
}

/** Counts the calls that reach it; a refused connection must leave that at zero. */
export class TestHandler implements NodeRpcHandler {
  calls = 0;
  cancelled = 0;
  /** What `test.wait` waits for. */
  release: () => void = () => undefined;
  readonly #released = new Promise<void>((resolve) => {
    this.release = resolve;
  });

  handle(call: NodeCall, responder: NodeResponder): () => void {
    this.calls += 1;
    const { method, params } = call.request;
    switch (method) {
      case 'node.health':
        responder.finish(healthResponse({ device_id: call.deviceId }));
        break;
      case 'test.large':
        responder.finish(resultResponse({ text: 'x'.repeat(Number(params['bytes'])) }));
        break;
      case 'test.echo':
        responder.finish(resultResponse(params));
        break;
      case 'test.wait':
        void this.#released.then(() => {
          responder.finish(resultResponse({}));
        });
        break;
      case 'test.events':
        for (let seq = 1; seq <= Number(params['count']); seq += 1)
          responder.send(eventResponse(seq, { n: seq }));
        if (params['stay'] !== true) responder.end();
        break;
      case 'node.stream_events':
        responder.send(eventResponse(1, {}));
        break;
      case 'test.bug':
        responder.fail(new Error('secret inside'));
        break;
      case 'test.refuse':
        responder.fail(new DomainError('conflict', 'CERTIFICATE_CONFLICT', 'another certificate is newer'));
        break;
      default:
        responder.fail(new DomainError('malformed', 'UNSUPPORTED_METHOD', 'there is no such method'));
    }
    return () => {
      this.cancelled += 1;
    };
  }
}

/** Counts, and keeps every event for tests that look closer. */
export class TestObserver extends CountingQuicObserver {
  readonly events: QuicEvent[] = [];

  override observe(event: QuicEvent): void {
    if (event.event !== 'datagram_dropped') this.events.push(event);
    super.observe(event);
  }
}

export interface DoorOptions {
  readonly settings?: Partial<QuicSettings>;
  readonly limit?: number;
  readonly host?: string;
  readonly port?: number;
  readonly parts?: Partial<QuicEndpointParts>;
}

/** An open door on loopback with a real CA and a registry in memory. */
export class TestDoor {
  readonly registry = new TestRegistry();
  readonly handler = new TestHandler();
  readonly observer = new TestObserver();
  readonly endpoint: QuicEndpoint;
  readonly #clients: QuicClient[] = [];
  #port = 0;

  private constructor(
    readonly ca: TestCa,
    tls: QuicRuntimeTlsMaterial,
    private readonly options: DoorOptions,
  ) {
    const { roots, trustDomain } = ca.bundle;
    this.endpoint = new QuicEndpoint({
      tls,
      clock: systemClock,
      verifyChain: (chain, now) => verifyDeviceChain(chain, roots, now, trustDomain),
      identities: this.registry,
      noteAdmitted: (deviceId, fingerprint) => this.registry.noteAdmitted(deviceId, fingerprint),
      handler: this.handler,
      observer: this.observer,
      settings: { drainTimeoutMs: 200, ...options.settings },
      ...options.parts,
    });
  }

  static async open(ca: TestCa, options: DoorOptions = {}): Promise<TestDoor> {
    const door = new TestDoor(ca, await ca.server(), options);
    const at = { host: options.host ?? '127.0.0.1', port: options.port ?? 0 };
    door.#port = (await serveWithConnectionLimit(door.endpoint, options.limit, at)).port;
    return door;
  }

  get port(): number {
    return this.#port;
  }

  async enrolled(changes: Partial<DeviceIdentity> = {}): Promise<TestDevice> {
    const device = await this.ca.device();
    this.registry.enrol(device, changes);
    return device;
  }

  clientOptions(
    identity: QuicClientOptions['identity'],
    changes: Partial<QuicClientOptions> = {},
  ): QuicClientOptions {
    return {
      host: this.options.host ?? '127.0.0.1',
      port: this.#port,
      roots: this.ca.rootPem,
      trustDomain: this.ca.trustDomain,
      connectTimeoutMs: 3_000,
      ...(identity === undefined ? {} : { identity }),
      ...changes,
    };
  }

  async connect(
    identity: QuicClientOptions['identity'],
    changes: Partial<QuicClientOptions> = {},
  ): Promise<QuicClient> {
    const client = await QuicClient.connect(this.clientOptions(identity, changes));
    this.#clients.push(client);
    return client;
  }

  /** Connects and calls `node.health`; the reason of whatever goes wrong, or `'answered'`. */
  async attempt(
    identity: QuicClientOptions['identity'],
    changes: Partial<QuicClientOptions> = {},
  ): Promise<string> {
    try {
      const client = await this.connect(identity, changes);
      const response = await client.health();
      await client.close();
      return response.ok ? 'answered' : String(response.error);
    } catch (error) {
      return error instanceof DomainError ? error.reason : String(error);
    }
  }

  /** Closes every client that this door has handed out. */
  async disconnect(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
  }

  async close(): Promise<void> {
    await this.disconnect();
    await this.endpoint.close();
  }
}

/** Waits for a condition that other event-loop turns bring about; fails after two seconds. */
export async function eventually(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 2_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never happened: ${condition.toString()}`);
    await sleep(2);
  }
}

/** A promise and the way to fulfil it. */
export function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

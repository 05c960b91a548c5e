import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoredCertificate } from '../../src/client/device/device-records.js';
import { type NodeConnection, connectNode } from '../../src/client/device/node-connection.js';
import { type PairingOptions, pairDevice } from '../../src/client/device/pairing.js';
import type { PairingEvent } from '../../src/client/device/pairing-event.js';
import type { Endpoint } from '../../src/client/grpc/endpoint.js';
import type { OperatorClient } from '../../src/client/operator-client.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { systemClock } from '../../src/time/clock.js';
import type { ServiceProcess } from './service-process.js';

/** A device with a directory of its own, as `palyra pairing pair` runs it. */
export class TestDevice {
  readonly events: PairingEvent[] = [];
  certificate: StoredCertificate | undefined;

  private constructor(readonly root: string) {}

  static async create(): Promise<TestDevice> {
    return new TestDevice(await mkdtemp(join(tmpdir(), 'palyra-device-')));
  }

  /** Where its store will be; not made before confirmV held. */
  get directory(): string {
    return join(this.root, 'store');
  }

  /** Pairs, and tells `onWaiting` the request once the operator may decide. */
  async pair(
    endpoint: Endpoint,
    secretText: string,
    onWaiting: (requestId: string) => Promise<unknown>,
    options: Partial<PairingOptions> = {},
  ): Promise<StoredCertificate> {
    let decided: Promise<unknown> = Promise.resolve();
    const certificate = await pairDevice(
      {
        directory: this.directory,
        askProof: () => Promise.resolve(secretText),
        endpoint,
        defaultEndpoint: endpoint,
        clientKind: 'node',
        platform: 'test',
        newIdentity: false,
        signal: new AbortController().signal,
        clock: systemClock,
        random: systemRandomBytes,
        ...options,
      },
      (event) => {
        this.events.push(event);
        if (event.event === 'waiting_for_approval') decided = onWaiting(event.requestId);
      },
    );
    await decided;
    this.certificate = certificate;
    return certificate;
  }

  /** Connects with its certificate. */
  connect(quic: Endpoint): Promise<NodeConnection> {
    if (this.certificate === undefined) throw new Error('the device is not paired');
    return connectNode(this.certificate, [quic], 5_000);
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}

export async function mintPin(operator: OperatorClient): Promise<string> {
  return (await operator.createPairingCode()).secretText;
}

/** A device that has gone the whole way. */
export async function pairedDevice(service: ServiceProcess, operator: OperatorClient): Promise<TestDevice> {
  const device = await TestDevice.create();
  await device.pair(service.grpc, await mintPin(operator), (requestId) =>
    operator.approveNodePairingRequest({ requestId, reason: 'words compared' }),
  );
  return device;
}

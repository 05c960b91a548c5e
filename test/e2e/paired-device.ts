import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { interrupted } from '../../src/client/client-error.js';
import {
  type PendingPairing,
  type StoredCertificate,
  type StoredIdentity,
  readCertificate,
  readIdentity,
  readPending,
} from '../../src/client/device/device-records.js';
import { DeviceStoreReader } from '../../src/client/device/device-store.js';
import { type NodeConnection, connectNode, quicEndpoints } from '../../src/client/device/node-connection.js';
import { type PairingOptions, pairDevice } from '../../src/client/device/pairing.js';
import type { PairingEvent } from '../../src/client/device/pairing-event.js';
import { type Endpoint, requireEndpoint } from '../../src/client/grpc/endpoint.js';
import type { OperatorClient } from '../../src/client/operator-client.js';
import type { NodeResponse } from '../../src/quic/node-rpc-message.js';
import type { ClientClose } from '../../src/quic/quic-client.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { systemClock } from '../../src/time/clock.js';
import type { ServiceProcess } from './service-process.js';

/** Nothing listens there: a device that is given it must know better places, or fail. */
const NOWHERE = requireEndpoint('127.0.0.1:1');
const CONNECT_TIMEOUT_MS = 5_000;

/** How a connection went on which the device asked for its health. */
export interface Attempt {
  readonly answers: readonly NodeResponse[];
  /** Reason of the error that ended it; `undefined` when the server answered. */
  readonly reason: string | undefined;
  readonly close: ClientClose;
}

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
    const stop = new AbortController();
    let decided: Promise<unknown> = Promise.resolve();
    const pairing = pairDevice(
      {
        ...this.#options(endpoint),
        askProof: () => Promise.resolve(secretText),
        ...options,
        signal: AbortSignal.any([stop.signal, ...(options.signal === undefined ? [] : [options.signal])]),
      },
      (event) => {
        this.events.push(event);
        if (event.event !== 'waiting_for_approval') return;
        decided = onWaiting(event.requestId);
        // Without a decision the device would wait on; then it is the decision's failure that the test must see.
        decided.catch(() => {
          stop.abort(interrupted());
        });
      },
    );
    const certificate = await pairing.catch(async (error: unknown) => {
      await decided;
      throw error;
    });
    await decided;
    this.certificate = certificate;
    return certificate;
  }

  /** Pairs as far as the wait for the operator and is then interrupted; returns the request's id. */
  async pairUntilWaiting(
    endpoint: Endpoint,
    secretText: string,
    options: Partial<PairingOptions> = {},
  ): Promise<string> {
    const stop = new AbortController();
    let requestId: string | undefined;
    const onWaiting = (id: string): Promise<void> => {
      requestId = id;
      stop.abort(interrupted());
      return Promise.resolve();
    };
    const error = await failureOf(
      this.pair(endpoint, secretText, onWaiting, { ...options, signal: stop.signal }),
    );
    if (requestId === undefined) throw error;
    return requestId;
  }

  /** The same command again: no code is asked for, and where the server is the device knows by itself. */
  async resume(
    onWaiting: (requestId: string) => Promise<unknown> = stillWaiting,
  ): Promise<StoredCertificate> {
    return this.pair(NOWHERE, '', onWaiting, {
      askProof: () => Promise.reject(new Error('the device asked for a code')),
    });
  }

  /** Connects with its certificate, by default where it was told at pairing. */
  async connect(quic?: Endpoint): Promise<NodeConnection> {
    const endpoints = quic === undefined ? quicEndpoints(this.paired) : [quic];
    return connectNode(this.paired, endpoints, {
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      signal: new AbortController().signal,
    });
  }

  /** Connects, asks for its health, and says what came back and how the connection ended. */
  async attempt(): Promise<Attempt> {
    const { client } = await this.connect();
    const answers: NodeResponse[] = [];
    const asking = (async () => {
      for await (const answer of client.stream('node.health')) answers.push(answer);
    })();
    const error = await failureOf(asking);
    await client.close();
    return { answers, reason: reasonOf(error), close: await client.closed };
  }

  get paired(): StoredCertificate {
    if (this.certificate === undefined) throw new Error('the device is not paired');
    return this.certificate;
  }

  /** Names of everything beside the keys of the store itself; empty when there is no store. */
  async records(): Promise<string[]> {
    const names = await readdir(this.directory).catch(() => []);
    return names.filter((name) => name.endsWith('.sealed')).sort();
  }

  /** What there is in its root: the store, if it was made. */
  async traces(): Promise<string[]> {
    return readdir(this.root);
  }

  async identity(): Promise<StoredIdentity | undefined> {
    return this.#read(readIdentity);
  }

  /** What its store holds, also when another process has paired it. */
  async storedCertificate(): Promise<StoredCertificate | undefined> {
    return this.#read(readCertificate);
  }

  async pending(): Promise<PendingPairing | undefined> {
    return this.#read(readPending);
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }

  async #read<T>(read: (store: DeviceStoreReader) => Promise<T | undefined>): Promise<T | undefined> {
    const store = await DeviceStoreReader.open(this.directory, systemRandomBytes);
    if (store === undefined) return undefined;
    try {
      return await read(store);
    } finally {
      store.close();
    }
  }

  #options(endpoint: Endpoint): Omit<PairingOptions, 'askProof' | 'signal'> {
    return {
      directory: this.directory,
      endpoint,
      defaultEndpoint: NOWHERE,
      clientKind: 'node',
      platform: 'test',
      newIdentity: false,
      clock: systemClock,
      random: systemRandomBytes,
    };
  }
}

const stillWaiting = (requestId: string): Promise<never> =>
  Promise.reject(new Error(`nobody has decided on ${requestId}`));

export async function mintPin(operator: OperatorClient): Promise<string> {
  return (await operator.createPairingCode()).secretText;
}

/** The same code id with other digits. */
export function withWrongPin(code: string): string {
  return code.slice(0, -1) + (code.endsWith('1') ? '2' : '1');
}

export const approving =
  (operator: OperatorClient) =>
  (requestId: string): Promise<unknown> =>
    operator.approveNodePairingRequest({ requestId, reason: 'words compared' });

/** A device that has gone the whole way. */
export async function pairedDevice(service: ServiceProcess, operator: OperatorClient): Promise<TestDevice> {
  const device = await TestDevice.create();
  await device.pair(service.grpc, await mintPin(operator), approving(operator));
  return device;
}

/** What `work` rejects with; `undefined` when it does not. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** Reason of a failure as programs read it; the text of what has none. */
export function reasonOf(error: unknown): string | undefined {
  if (error === undefined) return undefined;
  if (!(error instanceof Error)) return 'no error was thrown';
  return 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message;
}

import { parseCodeOrLink } from '../../pairing/protocol/link.js';
import type { LinkCode, PinCode } from '../../pairing/protocol/code.js';
import {
  type ConfirmedServer,
  type DeviceHandshake,
  startHandshake,
} from '../../pairing/protocol/device-handshake.js';
import { derivePassword } from '../../pairing/protocol/password.js';
import type { ClientKind } from '../../identity/device-identity.js';
import type { RandomBytes } from '../../random/random-bytes.js';
import { drawScalar, Scalar } from '../../spake2plus/p256.js';
import type { Clock } from '../../time/clock.js';
import { makeCsr } from '../../ca/csr-maker.js';
import { ClientError, stoppedBy } from '../client-error.js';
import { type Endpoint, requireEndpoint } from '../grpc/endpoint.js';
import { openPinnedChannel } from '../grpc/pinned-channel.js';
import type { GrpcTarget } from '../grpc/secure-target.js';
import { openUnverifiedChannel } from '../grpc/unverified-channel.js';
import { readKnownCluster, withKnownTime } from './cluster-time.js';
import { collectCertificate } from './collection.js';
import { newCertificateKey, newIdentity, shownIdentity, withNewKey } from './device-keys.js';
import {
  type KnownCluster,
  type PendingPairing,
  readIdentity,
  readPending,
  type StoredCertificate,
  type StoredIdentity,
  writePending,
} from './device-records.js';
import { DeviceStore } from './device-store.js';
import { callPair, PAIR_TIMEOUT_MS } from './pair-call.js';
import type { PairingObserver } from './pairing-event.js';
import { settlePairing } from './settlement.js';

export interface PairingOptions {
  /** The device store, an absolute path; made once the server has shown that it knows the code. */
  readonly directory: string;
  /** Asked for the code or link only when one is needed: an unfinished pairing is taken up without. */
  readonly askProof: () => Promise<string>;
  /** Where to dial; a link brings its own endpoint. */
  readonly endpoint: Endpoint | undefined;
  readonly defaultEndpoint: Endpoint;
  readonly clientKind: ClientKind;
  /** At most 64 bytes of UTF-8. */
  readonly platform: string;
  /** Make a new identity key for this device id instead of using the one in the store. */
  readonly newIdentity: boolean;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** How long an unfinished pairing is kept (docs/protocol.md, "Pairing"). */
const PENDING_LIFE_MS = 8 * 24 * 3_600_000;

/**
 * The device's whole way into the cluster (DESIGN §5): handshake, waiting for the decision, collecting and checking the
 * certificate, saving it. May be killed at any point and run again: it then takes up what it had begun.
 *
 * Throws `usage` before anything is asked or sent when the store cannot be kept in its directory; `unauthenticated` (wrong code or false server: nothing was saved, nothing is tried again), `refused`
 * (rejected), `unreachable`, `RemoteError`, and what `signal` says.
 */
export async function pairDevice(
  options: PairingOptions,
  observe: PairingObserver,
): Promise<StoredCertificate> {
  await DeviceStore.requirePlace(options.directory);
  const session = new PairingSession(
    options,
    observe,
    await DeviceStore.open(options.directory, options.random),
  );
  try {
    return (await session.resume()) ?? (await session.begin());
  } finally {
    session.close();
  }
}

/** A handshake whose pending record is saved. */
interface ProvenPairing {
  readonly pending: PendingPairing;
  readonly store: DeviceStore;
  /** What went wrong after the record was saved. */
  readonly failure: Error | undefined;
}

/** What a pairing begins with on this side. */
interface PairingGround {
  readonly endpoint: Endpoint;
  readonly identity: StoredIdentity;
  readonly certificateKey: PendingPairing['certificateKey'];
  /** The cluster of the pairing before. */
  readonly before: KnownCluster | undefined;
}

class PairingSession {
  constructor(
    private readonly options: PairingOptions,
    private readonly observe: PairingObserver,
    private store: DeviceStore | undefined,
  ) {}

  close(): void {
    this.store?.close();
  }

  /** Takes up an unfinished pairing; `undefined` when there is none, or it came to nothing. */
  async resume(): Promise<StoredCertificate | undefined> {
    if (this.store === undefined) return undefined;
    const pending = await readPending(this.store);
    if (pending === undefined) return undefined;
    if (pending.expiresAt <= this.options.clock.now()) {
      await this.store.delete('pending');
      this.observe({ event: 'dropped', why: 'expired' });
      return undefined;
    }
    this.observe({ event: 'resumed' });
    this.observe({ event: 'device', ...shownIdentity(pending) });
    const { endpoint, signal } = this.options;
    const dialled = endpoint === undefined ? pending : withEndpoint(pending, endpoint);
    const outcome = await collectCertificate(dialled, this.observe, { contacted: false, signal });
    const certificate = await settlePairing(this.store, dialled, outcome, this.options.clock, this.observe);
    if (certificate === undefined) this.observe({ event: 'dropped', why: 'not_found' });
    return certificate;
  }

  async begin(): Promise<StoredCertificate> {
    const code = parseCodeOrLink(await this.options.askProof());
    const endpoint = this.#endpointFor(code);
    const target = await this.#openChannel(endpoint, code);
    const identity = await this.#identity();
    const before = this.store === undefined ? undefined : await readKnownCluster(this.store);
    const certificateKey = newCertificateKey();
    const handshake = await this.#startHandshake(code, identity, makeCsr(certificateKey));
    const { pending, store, failure } = await this.#pair(target, handshake, (server) =>
      this.#pendingOf({ endpoint, identity, certificateKey, before }, server),
    );
    const { signal } = this.options;
    const outcome = await collectCertificate(pending, this.observe, { contacted: true, signal });
    const certificate = await settlePairing(store, pending, outcome, this.options.clock, this.observe);
    if (certificate !== undefined) return certificate;
    throw failure ?? beginAgain();
  }

  #endpointFor(code: PinCode | LinkCode): Endpoint {
    if (this.options.endpoint !== undefined) return this.options.endpoint;
    return code.kind === 'link' ? requireEndpoint(code.endpoint) : this.options.defaultEndpoint;
  }

  /** A link pins the CA, so that already the handshake runs on verified TLS; with a PIN it cannot. */
  async #openChannel(endpoint: Endpoint, code: PinCode | LinkCode): Promise<GrpcTarget> {
    if (code.kind === 'pin') return openUnverifiedChannel(endpoint);
    const { signal } = this.options;
    const target = await openPinnedChannel(endpoint, code.ca, { timeoutMs: PAIR_TIMEOUT_MS, signal });
    this.observe({ event: 'server', endpoint: endpoint.text, trustDomain: target.trust.trustDomain });
    return target;
  }

  async #identity(): Promise<StoredIdentity> {
    const known = this.store === undefined ? undefined : await readIdentity(this.store);
    if (known === undefined) return newIdentity(this.options.clock, this.options.random);
    return this.options.newIdentity ? withNewKey(known) : known;
  }

  async #startHandshake(
    code: PinCode | LinkCode,
    identity: StoredIdentity,
    csr: Buffer,
  ): Promise<DeviceHandshake> {
    const password = await derivePassword(code);
    const x = drawScalar(this.options.random);
    try {
      return startHandshake({
        codeId: code.codeId,
        password,
        deviceId: identity.deviceId,
        identityKey: identity.identityKey,
        clientKind: this.options.clientKind,
        platform: this.options.platform,
        csr,
        x: Scalar.of(x),
        ...(code.kind === 'link' ? { ca: code.ca } : {}),
      });
    } finally {
      for (const secret of [password.w0, password.w1, x]) secret.fill(0);
      if (code.kind === 'link') code.secret.fill(0);
    }
  }

  /**
   * Returns, instead of throwing, what went wrong after the proof may have been sent: nobody vouches for that answer, so
   * the device asks `Collect` all the same.
   */
  async #pair(
    target: GrpcTarget,
    handshake: DeviceHandshake,
    pendingOf: (server: ConfirmedServer) => PendingPairing,
  ): Promise<ProvenPairing> {
    const { signal } = this.options;
    const saved: { proven?: ProvenPairing } = {};
    const beforeProof = async (server: ConfirmedServer): Promise<void> => {
      const pending = pendingOf(server);
      saved.proven = { pending, store: await this.#save(pending), failure: undefined };
      this.observe({ event: 'device', ...shownIdentity(pending) });
    };
    try {
      await callPair(target, handshake, { signal, beforeProof });
    } catch (error) {
      if (signal.aborted) throw stoppedBy(signal);
      if (saved.proven === undefined || !(error instanceof Error)) throw error;
      return { ...saved.proven, failure: error };
    }
    if (saved.proven === undefined) throw new Error('the handshake ended before its proof');
    return saved.proven;
  }

  #pendingOf(
    { endpoint, identity, certificateKey, before }: PairingGround,
    server: ConfirmedServer,
  ): PendingPairing {
    const { trustDomain, roots, grpcEndpoints, quicEndpoints, epoch, sequence } = server.welcome;
    const told: KnownCluster = {
      trustDomain,
      roots,
      grpcEndpoints: [endpoint.text, ...grpcEndpoints],
      quicEndpoints,
      epoch,
      sequence,
    };
    return {
      ...identity,
      clientKind: this.options.clientKind,
      certificateKey,
      collectToken: server.collectToken,
      cluster: withKnownTime(told, before, this.observe),
      expiresAt: this.options.clock.now() + PENDING_LIFE_MS,
    };
  }

  /** Before the proof is sent: afterwards the server may hold a request that only this record can collect. */
  async #save(pending: PendingPairing): Promise<DeviceStore> {
    if (this.store === undefined) {
      this.store = await DeviceStore.create(this.options.directory, this.options.random);
      await refuseOvertaken(this.store);
    }
    await writePending(this.store, pending);
    return this.store;
  }
}

/** The server may be found elsewhere by now; it is known by the bundle, not by its address. */
function withEndpoint(pending: PendingPairing, endpoint: Endpoint): PendingPairing {
  const others = pending.cluster.grpcEndpoints.filter((text) => text !== endpoint.text);
  return { ...pending, cluster: { ...pending.cluster, grpcEndpoints: [endpoint.text, ...others] } };
}

/** Another process made the store while this one spoke with the server: two pairings must not mix. */
async function refuseOvertaken(store: DeviceStore): Promise<void> {
  if ((await readPending(store)) === undefined && (await readIdentity(store)) === undefined) return;
  throw new ClientError('failed', 'OVERTAKEN', 'another process paired this device at the same time', {
    advice: 'run the same command again; it goes on with what the other has begun',
  });
}

function beginAgain(): ClientError {
  return new ClientError('failed', 'PAIRING_NOT_FOUND', 'the server knows nothing of this pairing', {
    advice: 'ask for a new code and begin again',
  });
}

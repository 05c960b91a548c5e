import { type KeyObject } from 'node:crypto';
import { CertificateAuthority } from '../../src/ca/certificate-authority.js';
import { makeCsr } from '../../src/ca/csr-maker.js';
import { DEFAULT_CERT_VALIDITY } from '../../src/ca/issued-certificate.js';
import { DomainError } from '../../src/errors/domain-error.js';
import { newDeviceId } from '../../src/identity/device-id.js';
import { IdentityManager } from '../../src/identity/identity-manager.js';
import type { OperatorCaller } from '../../src/operators/caller.js';
import { ClusterFacts } from '../../src/pairing/cluster-facts.js';
import { Collection, type CollectedState } from '../../src/pairing/collection.js';
import { ensureDecoy } from '../../src/pairing/decoy.js';
import { PairingHousekeeping } from '../../src/pairing/housekeeping.js';
import { PairingCodes } from '../../src/pairing/pairing-codes.js';
import { PairingDecisions } from '../../src/pairing/pairing-decisions.js';
import type { PairingObserver } from '../../src/pairing/pairing-observer.js';
import { PairingQueue } from '../../src/pairing/pairing-queue.js';
import { PairingServer, type PairingSession } from '../../src/pairing/pairing-server.js';
import { RequestChanges } from '../../src/pairing/request-changes.js';
import { type PairingLimits, StartLimits } from '../../src/pairing/start-limits.js';
import { parseCodeOrLink } from '../../src/pairing/protocol/link.js';
import { type ConfirmedServer, startHandshake } from '../../src/pairing/protocol/device-handshake.js';
import { type CheckedHello, type Proof, parseWelcome } from '../../src/pairing/protocol/messages.js';
import { type PasswordScalars, derivePassword } from '../../src/pairing/protocol/password.js';
import { DeviceConnections } from '../../src/quic/device-connections.js';
import { type RandomBytes, systemRandomBytes } from '../../src/random/random-bytes.js';
import { Scalar } from '../../src/spake2plus/p256.js';
import { ManualClock } from '../../src/time/clock.js';
import { TemporaryStore } from '../store/temporary-store.js';
import { type Observed, observedStore } from './observed-store.js';
import { newKeyPair } from '../../src/random/key-pair.js';

const START = 1_780_000_000_000;
const REQUEST_TTL_MS = 24 * 3_600_000;

export const admin: OperatorCaller = {
  kind: 'operator',
  operatorId: '7zk4m9qx',
  role: 'admin',
  source: '192.0.2.10',
};

const NO_LIMITS: PairingLimits = { startsPerMinutePerAddress: 1e6, startsPerMinute: 1e6, handshakes: 1e6 };

export interface WorldOptions {
  /** Without them nothing is limited. */
  readonly limits?: Partial<PairingLimits>;
  /** Where new codes come from. */
  readonly mintRandom?: RandomBytes;
  /** Whoever minted a code may not approve. */
  readonly separateApprover?: boolean;
  /** How codes become passwords, on both sides; the real way by default. */
  readonly passwordOf?: typeof derivePassword;
  /** Is told what the handshake's server asks of the store. */
  readonly observed?: Observed;
  /** Where the store is; by default a new directory on disk. */
  readonly dataDir?: string;
}

const uncounted: PairingObserver = { pairingEnded: () => undefined, pairingDecided: () => undefined };

/** All of pairing on a real store, without sockets and with a clock that stands still. */
export class PairingWorld {
  readonly #passwords = new Map<string, Promise<PasswordScalars>>();

  private constructor(
    private readonly options: WorldOptions,
    readonly temporary: TemporaryStore,
    readonly clock: ManualClock,
    readonly authority: CertificateAuthority,
    readonly connections: DeviceConnections,
    readonly identities: IdentityManager,
    readonly codes: PairingCodes,
    readonly server: PairingServer,
    readonly queue: PairingQueue,
    readonly decisions: PairingDecisions,
    readonly collection: Collection,
    readonly housekeeping: PairingHousekeeping,
  ) {}

  static async open(options: WorldOptions = {}): Promise<PairingWorld> {
    const clock = new ManualClock(START);
    const { dataDir } = options;
    const temporary = await TemporaryStore.open({ clock, ...(dataDir === undefined ? {} : { dataDir }) });
    return PairingWorld.#assemble(options, clock, temporary);
  }

  /** The same store after a restart of the process: what lived in memory is gone. This world is over. */
  async restarted(): Promise<PairingWorld> {
    await this.temporary.reopen();
    return PairingWorld.#assemble(this.options, this.clock, this.temporary);
  }

  static async #assemble(
    options: WorldOptions,
    clock: ManualClock,
    temporary: TemporaryStore,
  ): Promise<PairingWorld> {
    const { unitOfWork, committed } = temporary.store;
    const authority = await unitOfWork.run((unit) =>
      CertificateAuthority.createOrLoad(unit, { trustDomain: 'test.palyra.internal', clock }),
    );
    await unitOfWork.run((unit) => ensureDecoy(unit, systemRandomBytes));
    const connections = new DeviceConnections();
    const changes = new RequestChanges();
    const housekeeping = new PairingHousekeeping({
      unitOfWork,
      committed,
      clock,
      changes,
      observer: uncounted,
    });
    const cluster = new ClusterFacts({
      trustBundle: () => authority.trustBundle(),
      storeTime: () => temporary.store.storeTime(),
      grpcEndpoints: () => ['localhost:7443'],
      quicEndpoints: () => ['localhost:7444'],
    });
    const store = { unitOfWork, committed, clock, random: systemRandomBytes };
    const { separateApprover = false } = options;
    const decisions = new PairingDecisions({
      unitOfWork,
      clock,
      authority,
      changes,
      connections,
      observer: uncounted,
      certificateLifetimeMs: DEFAULT_CERT_VALIDITY,
      separateApprover,
    });
    return new PairingWorld(
      options,
      temporary,
      clock,
      authority,
      connections,
      new IdentityManager({
        unitOfWork,
        committed,
        clock,
        connections,
        announceRevocation: () => undefined,
      }),
      new PairingCodes({
        ...store,
        random: options.mintRandom ?? systemRandomBytes,
        caKeyHash: () => authority.caKeyHash(),
        defaultEndpoint: () => 'localhost:7443',
        separateApprover,
        ...(options.passwordOf === undefined ? {} : { passwordOf: options.passwordOf }),
      }),
      new PairingServer({
        ...store,
        ...(options.observed === undefined ? {} : observedStore(store, options.observed)),
        limits: new StartLimits({ ...NO_LIMITS, ...options.limits }, clock),
        decisions,
        changes,
        welcomeFields: () => cluster.welcomeFields(),
        requestTtlMs: REQUEST_TTL_MS,
      }),
      new PairingQueue(committed, clock),
      decisions,
      new Collection({
        unitOfWork,
        committed,
        clock,
        changes,
        housekeeping,
        chainOf: (leaf, issuerKeyId) => authority.chainOf(leaf, issuerKeyId),
      }),
      housekeeping,
    );
  }

  remove(): Promise<void> {
    return this.temporary.remove();
  }

  /** A device of its own that pairs with `secretText`; the default is a new PIN code. */
  async paired(device = newTestDevice(), secretText?: string): Promise<PairedDevice> {
    const code = secretText ?? (await this.codes.mint(admin, { kind: 'pin' })).secretText;
    const { confirmed, session } = await this.hello(device, code);
    const requestId = await session.finish(confirmed.makeProof());
    session.end();
    return { ...device, requestId, token: Buffer.from(confirmed.collectToken) };
  }

  /** The handshake up to a believed welcome. Rejects as the device does when the code is wrong. */
  async hello(device: TestDevice, secretText: string): Promise<BelievedHandshake> {
    const code = parseCodeOrLink(secretText);
    const handshake = startHandshake({
      codeId: code.codeId,
      password: await this.passwordOf(secretText),
      deviceId: device.deviceId,
      clientKind: 'node',
      platform: 'linux-x64',
      identityKey: device.identityKey,
      csr: device.csr,
      x: Scalar.random(systemRandomBytes),
      ...(code.kind === 'link' ? { ca: code.ca } : {}),
    });
    const session = await this.server.begin(handshake.hello, '198.51.100.7');
    try {
      const confirmed = handshake.handleWelcome(parseWelcome(session.welcome));
      return { hello: handshake.hello, confirmed, session };
    } catch (error) {
      session.end();
      throw error;
    }
  }

  /** Derived once a code: a hundred handshakes with one PIN need not stretch it a hundred times. */
  private async passwordOf(secretText: string): Promise<PasswordScalars> {
    const passwordOf = this.options.passwordOf ?? derivePassword;
    const known = this.#passwords.get(secretText) ?? passwordOf(parseCodeOrLink(secretText));
    this.#passwords.set(secretText, known);
    const { w0, w1 } = await known;
    return { w0: Buffer.from(w0), w1: Buffer.from(w1) };
  }

  /** What somebody sends who knows an id and no secret: a hello, and a proof out of thin air. */
  stranger(codeId: string): { hello: CheckedHello; proof: Proof } {
    const device = newTestDevice();
    const { hello } = startHandshake({
      codeId,
      password: { w0: Buffer.alloc(32, 2), w1: Buffer.alloc(32, 3) },
      deviceId: device.deviceId,
      clientKind: 'node',
      platform: '',
      identityKey: device.identityKey,
      csr: device.csr,
      x: Scalar.random(systemRandomBytes),
    });
    const proof = { confirmP: Buffer.alloc(32, 1), csr: device.csr, identitySignature: Buffer.alloc(64) };
    return { hello, proof };
  }

  /** A stranger who takes any welcome. */
  async guess(codeId: string): Promise<never> {
    const { hello, proof } = this.stranger(codeId);
    const session = await this.server.begin(hello, '203.0.113.9');
    try {
      await session.finish(proof);
    } finally {
      session.end();
    }
    throw new Error('a guessed proof was accepted');
  }

  approve(requestId: string, replaceIdentity = false): ReturnType<PairingDecisions['approve']> {
    return this.decisions.approve(admin, { requestId, reason: 'compared', replaceIdentity });
  }

  /** What `Collect` says first. */
  async collectOnce(token: Uint8Array): Promise<CollectedState> {
    const abort = new AbortController();
    try {
      for await (const state of this.collection.watch(token, '198.51.100.7', abort.signal)) return state;
    } finally {
      abort.abort();
    }
    throw new Error('nothing was said');
  }

  /** Actions of the audit log, oldest first. */
  async actions(): Promise<string[]> {
    const entries = await this.temporary.store.auditLog.entries({ after: 0, limit: 1000 });
    return entries.map((entry) => entry.action);
  }
}

export interface BelievedHandshake {
  readonly hello: CheckedHello;
  readonly confirmed: ConfirmedServer;
  readonly session: PairingSession;
}

export interface TestDevice {
  readonly deviceId: string;
  readonly identityKey: KeyObject;
  readonly certificateKey: KeyObject;
  readonly csr: Buffer;
}

export interface PairedDevice extends TestDevice {
  readonly requestId: string;
  readonly token: Buffer;
}

export function newTestDevice(of: Partial<TestDevice> = {}): TestDevice {
  const certificateKey = newKeyPair('p256').privateKey;
  return {
    deviceId: newDeviceId({ now: () => Date.now() }, systemRandomBytes),
    identityKey: newKeyPair('ed25519').privateKey,
    certificateKey,
    csr: makeCsr(certificateKey),
    ...of,
  };
}

/** What `act` was refused with; fails when it was not. */
export async function refusal(act: Promise<unknown>): Promise<DomainError> {
  const error: unknown = await act.then(
    () => new Error('nothing was refused'),
    (caught: unknown) => caught,
  );
  if (!(error instanceof DomainError)) throw error;
  return error;
}

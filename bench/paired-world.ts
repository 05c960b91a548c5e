import { createHash } from 'node:crypto';
import { CertificateAuthority } from '../src/ca/certificate-authority.js';
import { makeCsr } from '../src/ca/csr-maker.js';
import { openStore, type Store } from '../src/database/open-store.js';
import { newDeviceId } from '../src/identity/device-id.js';
import type { OperatorCaller } from '../src/operators/caller.js';
import { ClusterFacts } from '../src/pairing/cluster-facts.js';
import { Collection } from '../src/pairing/collection.js';
import { ensureDecoy } from '../src/pairing/decoy.js';
import { PairingHousekeeping } from '../src/pairing/housekeeping.js';
import { PairingCodes } from '../src/pairing/pairing-codes.js';
import { PairingDecisions } from '../src/pairing/pairing-decisions.js';
import { PairingServer } from '../src/pairing/pairing-server.js';
import { startHandshake } from '../src/pairing/protocol/device-handshake.js';
import { parseCodeOrLink } from '../src/pairing/protocol/link.js';
import { parseWelcome } from '../src/pairing/protocol/messages.js';
import type { PasswordScalars } from '../src/pairing/protocol/password.js';
import { RequestChanges } from '../src/pairing/request-changes.js';
import { StartLimits } from '../src/pairing/start-limits.js';
import { DeviceConnections } from '../src/quic/device-connections.js';
import { systemRandomBytes } from '../src/random/random-bytes.js';
import { Scalar } from '../src/spake2plus/p256.js';
import { systemClock } from '../src/time/clock.js';
import { newKeyPair } from '../src/random/key-pair.js';

const DAY = 86_400_000;
const SOURCE = '198.51.100.7';
const admin: OperatorCaller = {
  kind: 'operator',
  operatorId: '7zk4m9qx',
  role: 'admin',
  source: '192.0.2.10',
};
const uncounted = { pairingEnded: () => undefined, pairingDecided: () => undefined };

/** The steps of a pairing in which the server works. */
export const STEPS = ['hello', 'proof', 'approve', 'collect'] as const;
export type Step = (typeof STEPS)[number];
/** Runs the server's part of a step and takes its time; what is outside of it is the device's. */
export type Watch = <T>(step: Step, serve: () => Promise<T>) => Promise<T>;

/** The services of pairing on a store on disk, and a device that pairs with them by a PIN code. */
export class PairedWorld {
  private constructor(
    readonly store: Store,
    private readonly codes: PairingCodes,
    private readonly server: PairingServer,
    private readonly decisions: PairingDecisions,
    private readonly collection: Collection,
  ) {}

  static async open(dataDir: string): Promise<PairedWorld> {
    const store = await openStore({ dataDir, masterKey: { kind: 'default-key-file' } });
    const { unitOfWork, committed } = store;
    const authority = await unitOfWork.run((unit) =>
      CertificateAuthority.createOrLoad(unit, { trustDomain: 'bench.example', clock: systemClock }),
    );
    await unitOfWork.run((unit) => ensureDecoy(unit, systemRandomBytes));
    const changes = new RequestChanges();
    const base = { unitOfWork, committed, clock: systemClock, random: systemRandomBytes };
    const observed = { ...base, changes, observer: uncounted };
    const connections = new DeviceConnections();
    const decisions = new PairingDecisions({
      ...observed,
      authority,
      connections,
      certificateLifetimeMs: DAY,
    });
    const cluster = new ClusterFacts({
      trustBundle: () => authority.trustBundle(),
      storeTime: () => store.storeTime(),
      grpcEndpoints: () => ['localhost:7443'],
      quicEndpoints: () => ['localhost:7444'],
    });
    const codes = new PairingCodes({
      ...base,
      caKeyHash: () => authority.caKeyHash(),
      defaultEndpoint: () => 'localhost:7443',
      separateApprover: false,
      passwordOf: unstretched,
    });
    const limits = { startsPerMinutePerAddress: 1e6, startsPerMinute: 1e6, handshakes: 1e6 };
    const server = new PairingServer({
      ...base,
      limits: new StartLimits(limits, systemClock),
      decisions,
      changes,
      welcomeFields: () => cluster.welcomeFields(),
      requestTtlMs: DAY,
    });
    const collection = new Collection({
      ...observed,
      housekeeping: new PairingHousekeeping(observed),
      chainOf: (leaf, issuerKeyId) => authority.chainOf(leaf, issuerKeyId),
    });
    return new PairedWorld(store, codes, server, decisions, collection);
  }

  /** A new device from its code to its certificate. */
  async pair(watch: Watch): Promise<void> {
    const { secretText } = await this.codes.mint(admin, { kind: 'pin' });
    const code = parseCodeOrLink(secretText);
    const device = startHandshake({
      codeId: code.codeId,
      password: await unstretched(code),
      deviceId: newDeviceId(systemClock, systemRandomBytes),
      clientKind: 'node',
      platform: 'linux',
      identityKey: newKeyPair('ed25519').privateKey,
      // Of its own certificate key as well: a key belongs to one device.
      csr: makeCsr(newKeyPair('p256').privateKey),
      x: Scalar.random(systemRandomBytes),
    });
    const session = await watch('hello', () => this.server.begin(device.hello, SOURCE));
    const confirmed = device.handleWelcome(parseWelcome(session.welcome));
    const proof = confirmed.makeProof();
    const token = Buffer.from(confirmed.collectToken);
    const requestId = await watch('proof', () => session.finish(proof));
    session.end();
    const approval = { requestId, reason: '', replaceIdentity: false };
    await watch('approve', () => this.decisions.approve(admin, approval));
    const chain = await watch('collect', () => this.#collect(token));
    if (chain === 0) throw new Error('there was no certificate to collect');
  }

  async #collect(token: Buffer): Promise<number> {
    const { signal } = new AbortController();
    for await (const { certificateChain } of this.collection.watch(token, SOURCE, signal)) {
      return certificateChain.length;
    }
    return 0;
  }
}

/** Stretching is the device's work, and the server's when a code is minted: neither is measured. */
function unstretched(code: { readonly codeId: string }): Promise<PasswordScalars> {
  const scalar = (name: string): Buffer =>
    createHash('sha256').update(`${name} ${code.codeId}`).digest().fill(0, 0, 1);
  return Promise.resolve({ w0: scalar('w0'), w1: scalar('w1') });
}

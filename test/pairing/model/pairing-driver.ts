import { CertificateRow } from '../../../src/ca/certificate.entity.js';
import { DomainError } from '../../../src/errors/domain-error.js';
import { type BelievedHandshake, type PairingWorld, admin } from '../pairing-world.js';
import { Cast } from './cast.js';
import { type Facts, StoredFacts } from './stored-facts.js';
import type { CodeTerms, Operation } from './pairing-model.js';

const DAY_MS = 86_400_000;

interface MadeCode {
  readonly codeId: string;
  readonly secretText: string;
}

interface MadeRequest {
  readonly requestId: string;
  readonly token: Buffer;
  /** Of the certificate that the first approval answered with. */
  fingerprint?: string;
}

/** Plays the model's operations on the real services. */
export class PairingDriver {
  readonly #cast = new Cast();
  readonly #codes = new Map<string, MadeCode>();
  readonly #handshakes = new Map<string, BelievedHandshake>();
  readonly #requests = new Map<string, MadeRequest>();

  private constructor(
    public world: PairingWorld,
    private readonly facts: StoredFacts,
  ) {}

  /** Begins on a world in which nothing of pairing is under way. */
  static async start(world: PairingWorld): Promise<PairingDriver> {
    return new PairingDriver(world, await StoredFacts.before(world.temporary.store));
  }

  /** Returns `done`, a state, or the reason of the refusal. */
  async run(operation: Operation): Promise<string> {
    try {
      return await this.#play(operation);
    } catch (error) {
      const isAnswer = error instanceof DomainError && !['internal', 'corrupt'].includes(error.kind);
      if (isAnswer) return error.reason;
      throw error;
    }
  }

  /** What the store holds now; throws for what it must not hold in any case. */
  stored(): Promise<Facts> {
    return this.facts.read(this.world.temporary.store, this.#cast);
  }

  /** Lets all that is under way run out, and takes the devices away; throws if anything is left then. */
  async windUp(): Promise<void> {
    for (const { session } of this.#handshakes.values()) session.end();
    for (const days of [2, 31]) {
      this.world.clock.advance(days * DAY_MS);
      await this.world.housekeeping.run();
    }
    for (const { row } of (await this.world.identities.list({ limit: 100 })).devices) {
      await this.world.identities.revoke(admin, row.deviceId, 'the end');
      await this.world.identities.clear(admin, row.deviceId, 'the end');
    }
    await this.facts.requireNothingLeft(this.world.temporary.store);
  }

  async #play(operation: Operation): Promise<string> {
    const { world } = this;
    switch (operation.kind) {
      case 'mint':
        return this.#mint(operation.code, operation);
      case 'withdraw':
        return done(world.codes.withdraw(admin, this.#code(operation.code).codeId, 'not needed'));
      case 'hello':
        return this.#hello(operation.handshake, operation.persona, operation.code);
      case 'guess':
        return world.guess(this.#code(operation.code).codeId);
      case 'proof':
        return this.#prove(operation.handshake, operation.faulty);
      case 'approve':
        return this.#approve(operation.request, operation.replace);
      case 'reject':
        return done(world.decisions.reject(admin, this.#request(operation.request).requestId, 'not ours'));
      case 'collect':
        return this.#collect(operation.request);
      case 'revoke':
        return done(world.identities.revoke(admin, this.#cast.deviceId(operation.id), 'lost'));
      case 'clear':
        return done(world.identities.clear(admin, this.#cast.deviceId(operation.id), 'found'));
      case 'housekeeping':
        return done(world.housekeeping.run());
      case 'advance':
        world.clock.advance(operation.ms);
        return 'done';
      case 'restart':
        return this.#restart();
    }
  }

  async #mint(name: string, { as: kind, uses, preApproved }: CodeTerms): Promise<string> {
    const policy = { uses, preApproved };
    const { code, secretText } = await this.world.codes.mint(admin, { kind, policy });
    this.#codes.set(name, { codeId: code.codeId, secretText });
    this.#cast.call(code.codeId, name);
    return 'done';
  }

  async #hello(name: string, persona: number, code: string): Promise<string> {
    const handshake = await this.world.hello(this.#cast.device(persona), this.#code(code).secretText);
    this.#handshakes.set(name, handshake);
    return 'believed';
  }

  async #prove(name: string, faulty: boolean): Promise<string> {
    const { confirmed, session } = this.#handshakes.get(name)!;
    this.#handshakes.delete(name);
    const right = confirmed.makeProof();
    try {
      const proof = faulty ? { ...right, identitySignature: Buffer.alloc(64) } : right;
      const requestId = await session.finish(proof);
      const request: MadeRequest = { requestId, token: Buffer.from(confirmed.collectToken) };
      this.#requests.set(name, request);
      this.#cast.call(requestId, name);
      const { row } = await this.world.queue.get(requestId);
      if (row.certificateFingerprint !== null) this.#certified(name, request, row.certificateFingerprint);
      return 'done';
    } finally {
      session.end();
    }
  }

  async #approve(name: string, replaceIdentity: boolean): Promise<string> {
    const request = this.#request(name);
    const { fingerprint } = await this.world.approve(request.requestId, replaceIdentity);
    this.#certified(name, request, fingerprint);
    return 'done';
  }

  #certified(name: string, request: MadeRequest, fingerprint: string): void {
    request.fingerprint ??= fingerprint;
    if (request.fingerprint !== fingerprint) throw new Error(`${name} has two certificates`);
    this.#cast.call(fingerprint, name);
  }

  async #collect(name: string): Promise<string> {
    const request = this.#request(name);
    const { state, certificateChain } = await this.world.collectOnce(request.token);
    const [leaf] = certificateChain;
    if ((leaf !== undefined) !== (state === 'completed')) return `${state} with the wrong chain`;
    if (leaf === undefined) return state;
    const { tables } = this.world.temporary.store.committed;
    const { pem } = await tables.findOneByOrFail(CertificateRow, { fingerprint: request.fingerprint! });
    return pem.replace(/-----[^-]+-----|\s/g, '') === leaf.toString('base64') ? state : 'a foreign leaf';
  }

  async #restart(): Promise<string> {
    for (const { session } of this.#handshakes.values()) session.end();
    this.#handshakes.clear();
    this.world = await this.world.restarted();
    return done(this.world.housekeeping.run());
  }

  #code(name: string): MadeCode {
    return this.#codes.get(name)!;
  }

  #request(name: string): MadeRequest {
    return this.#requests.get(name)!;
  }
}

async function done(work: Promise<unknown>): Promise<string> {
  await work;
  return 'done';
}

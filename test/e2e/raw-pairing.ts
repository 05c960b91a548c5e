import {
  Client,
  type ClientDuplexStream,
  Metadata,
  type ServiceError,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { once } from 'node:events';
import { makeCsr } from '../../src/ca/csr-maker.js';
import { newCertificateKey, newIdentity } from '../../src/client/device/device-keys.js';
import type { Endpoint } from '../../src/client/grpc/endpoint.js';
import { openUnverifiedChannel } from '../../src/client/grpc/unverified-channel.js';
import {
  NodeServiceService,
  type PairHello,
  type PairProof,
  type PairRequest,
  type PairResponse,
  type PairWelcome,
} from '../../src/generated/palyra/controlplane/v1/node_service.js';
import { clientKindToProto } from '../../src/identity/client-kind-message.js';
import { type DeviceHandshake, startHandshake } from '../../src/pairing/protocol/device-handshake.js';
import { parseWelcome } from '../../src/pairing/protocol/messages.js';
import type { PasswordScalars } from '../../src/pairing/protocol/password.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { Scalar } from '../../src/spake2plus/p256.js';
import { systemClock } from '../../src/time/clock.js';

const TIMEOUT_MS = 20_000;

/** Everything that the server says when it refuses: what must not tell one dead code from another. */
export interface Refusal {
  readonly code: string | undefined;
  readonly details: string;
  /** Response headers and trailers but the date; bytes in hex. */
  readonly metadata: Readonly<Record<string, readonly string[]>>;
}

/** A connection to `Pair` of somebody who plays the handshake by hand. */
export class RawPairing {
  readonly #client: Client;
  readonly #strangers = new Map<string, Stranger>();

  constructor(endpoint: Endpoint) {
    const target = openUnverifiedChannel(endpoint);
    this.#client = new Client(target.address, target.credentials, target.options);
  }

  /** Begins a handshake as a new device that takes `password` for the code's. */
  begin(codeId: string, password: PasswordScalars): RawHandshake {
    const handshake = newHandshake(codeId, password);
    return new RawHandshake(this.#call(), { hello: helloOf(handshake), handshake });
  }

  /** What the server says to a proof out of thin air. */
  async guess(codeId: string): Promise<Refusal> {
    const stranger = this.#strangerTo(codeId);
    const handshake = new RawHandshake(this.#call(), { hello: helloOf(stranger.handshake) });
    await handshake.welcome();
    return handshake.refusalOf(stranger.proof);
  }

  /** Sends messages that were recorded elsewhere, each when its turn comes. */
  async replay(hello: PairHello, proof: PairProof): Promise<Refusal> {
    const handshake = new RawHandshake(this.#call(), { hello });
    await handshake.welcome();
    return handshake.refusalOf(proof);
  }

  /** What the service answers to a hello that was recorded elsewhere. */
  async welcomeTo(hello: PairHello): Promise<PairWelcome> {
    const handshake = new RawHandshake(this.#call(), { hello });
    const welcome = await handshake.welcome();
    handshake.cancel();
    return welcome;
  }

  /** Somebody who knows no password. Made once for all guesses: the server cannot tell, and the test need not wait. */
  #strangerTo(codeId: string): Stranger {
    const known = this.#strangers.get(codeId);
    if (known !== undefined) return known;
    const handshake = newHandshake(codeId, { w0: Buffer.alloc(32, 2), w1: Buffer.alloc(32, 3) });
    const csr = makeCsr(newCertificateKey());
    const proof = { confirmP: Buffer.alloc(32, 1), csr, identitySignature: Buffer.alloc(64, 1) };
    const stranger = { handshake, proof };
    this.#strangers.set(codeId, stranger);
    return stranger;
  }

  close(): void {
    this.#client.close();
  }

  #call(): PairCall {
    const { pair } = NodeServiceService;
    return this.#client.makeBidiStreamRequest(
      pair.path,
      pair.requestSerialize,
      pair.responseDeserialize,
      new Metadata(),
      { deadline: Date.now() + TIMEOUT_MS },
    );
  }
}

type PairCall = ClientDuplexStream<PairRequest, PairResponse>;

interface Stranger {
  readonly handshake: DeviceHandshake;
  readonly proof: PairProof;
}

/** One call, as far as the test takes it. */
export class RawHandshake {
  #headers = new Metadata();

  constructor(
    private readonly call: PairCall,
    private readonly side: { readonly hello: PairHello; readonly handshake?: DeviceHandshake },
  ) {
    call.on('error', () => undefined);
    call.on('metadata', (headers: Metadata) => {
      this.#headers = headers;
    });
  }

  /** Sends hello, waits for welcome, and says whether the server has shown that it knows the code. */
  async hello(): Promise<boolean> {
    const welcome = await this.welcome();
    const { handshake } = this.side;
    if (handshake === undefined) throw new Error('nobody here can judge a welcome');
    try {
      handshake.handleWelcome(parseWelcome(welcome));
      return true;
    } catch {
      return false;
    }
  }

  /** Sends hello and gives what the server answers, unjudged. */
  async welcome(): Promise<PairWelcome> {
    this.call.write({ message: { $case: 'hello', value: this.side.hello } });
    const [{ message }] = (await once(this.call, 'data')) as [PairResponse];
    if (message?.$case !== 'welcome') throw new Error('the server sent no welcome');
    return message.value;
  }

  async refusalOf(proof: PairProof): Promise<Refusal> {
    const ended = new Promise<StatusObject>((resolve) => this.call.once('status', resolve));
    this.call.write({ message: { $case: 'proof', value: proof } });
    const { code, details, metadata } = await ended;
    if (code === status.OK) throw new Error('the proof was accepted');
    return {
      code: status[code],
      details,
      metadata: { ...fieldsOf(this.#headers), ...fieldsOf(metadata) },
    };
  }

  cancel(): void {
    this.call.cancel();
  }
}

function helloOf({ hello }: DeviceHandshake): PairHello {
  return { ...hello, clientKind: clientKindToProto(hello.clientKind) };
}

function newHandshake(codeId: string, password: PasswordScalars): DeviceHandshake {
  const { deviceId, identityKey } = newIdentity(systemClock, systemRandomBytes);
  return startHandshake({
    codeId,
    password: { w0: Buffer.from(password.w0), w1: Buffer.from(password.w1) },
    deviceId,
    identityKey,
    clientKind: 'node',
    platform: 'test',
    csr: makeCsr(newCertificateKey()),
    x: Scalar.random(systemRandomBytes),
  });
}

function fieldsOf(metadata: ServiceError['metadata']): Record<string, string[]> {
  const fields = Object.keys(metadata.getMap()).filter((key) => key !== 'date');
  return Object.fromEntries(
    fields.map((key) => [key, metadata.get(key).map((value) => Buffer.from(value).toString('hex'))]),
  );
}

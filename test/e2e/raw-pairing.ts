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
  type PairProof,
  type PairRequest,
  type PairResponse,
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

  constructor(endpoint: Endpoint) {
    const target = openUnverifiedChannel(endpoint);
    this.#client = new Client(target.address, target.credentials, target.options);
  }

  /** Begins a handshake as a new device that takes `password` for the code's. */
  begin(codeId: string, password: PasswordScalars): RawHandshake {
    const { pair } = NodeServiceService;
    const deadline = Date.now() + TIMEOUT_MS;
    const call = this.#client.makeBidiStreamRequest(
      pair.path,
      pair.requestSerialize,
      pair.responseDeserialize,
      new Metadata(),
      { deadline },
    );
    return new RawHandshake(call, newHandshake(codeId, password));
  }

  /** What the server says to a proof out of thin air. */
  async guess(codeId: string): Promise<Refusal> {
    const handshake = this.begin(codeId, { w0: Buffer.alloc(32, 2), w1: Buffer.alloc(32, 3) });
    await handshake.hello();
    return handshake.refusalOf({
      confirmP: Buffer.alloc(32, 1),
      csr: makeCsr(newCertificateKey()),
      identitySignature: Buffer.alloc(64, 1),
    });
  }

  close(): void {
    this.#client.close();
  }
}

/** One call, as far as the test takes it. */
export class RawHandshake {
  #headers = new Metadata();

  constructor(
    private readonly call: ClientDuplexStream<PairRequest, PairResponse>,
    private readonly handshake: DeviceHandshake,
  ) {
    call.on('error', () => undefined);
    call.on('metadata', (headers: Metadata) => {
      this.#headers = headers;
    });
  }

  /** Sends hello, waits for welcome, and says whether the server has shown that it knows the code. */
  async hello(): Promise<boolean> {
    const { hello } = this.handshake;
    const value = { ...hello, clientKind: clientKindToProto(hello.clientKind) };
    this.call.write({ message: { $case: 'hello', value } });
    const [{ message }] = (await once(this.call, 'data')) as [PairResponse];
    if (message?.$case !== 'welcome') throw new Error('the server sent no welcome');
    try {
      this.handshake.handleWelcome(parseWelcome(message.value));
      return true;
    } catch {
      return false;
    }
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

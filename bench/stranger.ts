import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { Client, type ClientDuplexStream, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { makeCsr } from '../src/ca/csr-maker.js';
import { newCertificateKey, newIdentity } from '../src/client/device/device-keys.js';
import type { Endpoint } from '../src/client/grpc/endpoint.js';
import { openUnverifiedChannel } from '../src/client/grpc/unverified-channel.js';
import {
  NodeServiceService,
  type PairHello,
  type PairRequest,
  type PairResponse,
} from '../src/generated/palyra/controlplane/v1/node_service.js';
import { clientKindToProto } from '../src/identity/client-kind-message.js';
import { startHandshake } from '../src/pairing/protocol/device-handshake.js';
import { systemRandomBytes } from '../src/random/random-bytes.js';
import { Scalar } from '../src/spake2plus/p256.js';
import { systemClock } from '../src/time/clock.js';

/** What one try took, microseconds. */
export interface TryTime {
  /** From hello to the welcome. */
  readonly welcomeUs: number;
  /** From the proof to the refusal. */
  readonly refusalUs: number;
}

/** Somebody without a code who tries ids, over one connection, and holds a watch to the answers. */
export class Stranger {
  readonly #client: Client;
  readonly #csr = makeCsr(newCertificateKey());
  readonly #identity = newIdentity(systemClock, systemRandomBytes);

  constructor(endpoint: Endpoint) {
    const target = openUnverifiedChannel(endpoint);
    this.#client = new Client(target.address, target.credentials, target.options);
  }

  /** One hello and one proof out of thin air. Throws when the answer is not the refusal. */
  async try(codeId: string): Promise<TryTime> {
    const call = this.#call();
    const hello = this.#hello(codeId);
    const proof = { confirmP: Buffer.alloc(32, 1), csr: this.#csr, identitySignature: Buffer.alloc(64, 1) };
    call.on('error', () => undefined);
    const start = performance.now();
    call.write({ message: { $case: 'hello', value: hello } });
    const [{ message }] = (await once(call, 'data')) as [PairResponse];
    const welcomed = performance.now();
    if (message?.$case !== 'welcome') throw new Error('the server sent no welcome');
    // Not `once`: an `error` comes as well, and says the same.
    const ended = new Promise<StatusObject>((resolve) => call.once('status', resolve));
    call.write({ message: { $case: 'proof', value: proof } });
    const { code, details } = await ended;
    const refused = performance.now();
    if (code !== status.UNAUTHENTICATED) throw new Error(`the server answered ${status[code]}: ${details}`);
    return { welcomeUs: (welcomed - start) * 1000, refusalUs: (refused - welcomed) * 1000 };
  }

  close(): void {
    this.#client.close();
  }

  #hello(codeId: string): PairHello {
    const password = { w0: Buffer.alloc(32, 2), w1: Buffer.alloc(32, 3) };
    const { hello } = startHandshake({
      codeId,
      password,
      ...this.#identity,
      clientKind: 'node',
      platform: '',
      csr: this.#csr,
      x: Scalar.random(systemRandomBytes),
    });
    return { ...hello, clientKind: clientKindToProto(hello.clientKind) };
  }

  #call(): ClientDuplexStream<PairRequest, PairResponse> {
    const { pair } = NodeServiceService;
    const metadata = new Metadata();
    return this.#client.makeBidiStreamRequest(
      pair.path,
      pair.requestSerialize,
      pair.responseDeserialize,
      metadata,
    );
  }
}

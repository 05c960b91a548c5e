import {
  Client,
  type ClientDuplexStream,
  Metadata,
  type ServerDuplexStream,
  type StatusObject,
  type handleBidiStreamingCall,
  status,
} from '@grpc/grpc-js';
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
import { type RunningServer, startGrpcServer, tlsMaterial } from '../cli/grpc-server.js';
import { controlPlaneLeaf, makeRoot } from '../cli/pki.js';

/** What the relay does to the messages on their way; each is passed on as it is unless said otherwise. */
export interface Edits {
  hello?: Edit<PairHello>;
  welcome?: Edit<PairWelcome>;
  proof?: Edit<PairProof>;
}

type Edit<Message> = (message: Message) => Message | Promise<Message>;

/**
 * What goes on in place of a message: several are sent one after the other, and with none the message is dropped and the
 * call hung up on both sides.
 */
export interface Tampering {
  toService?: Tamper<PairRequest>;
  toDevice?: Tamper<PairResponse>;
}

type Tamper<Message> = (message: Message) => readonly Message[] | Promise<readonly Message[]>;

/** Everything that one call said, in its order, as it came in. */
export interface RecordedCall {
  readonly requests: PairRequest[];
  readonly responses: PairResponse[];
}

/** The messages that went through, as they came. */
interface Passed {
  hellos: number;
  welcomes: number;
  proofs: number;
  receipts: number;
}

/**
 * Somebody in between: a TLS server with a certificate of its own making, which takes `Pair` calls and plays each of them
 * with the real service. Since a device cannot verify TLS yet, nothing but the handshake itself can tell it.
 */
export class Relay {
  edits: Edits = {};
  tampering: Tampering = {};
  readonly recorded: RecordedCall[] = [];
  readonly passed: Passed = { hellos: 0, welcomes: 0, proofs: 0, receipts: 0 };
  readonly #upstream: Client;
  #server: RunningServer | undefined;

  private constructor(service: Endpoint) {
    const target = openUnverifiedChannel(service);
    this.#upstream = new Client(target.address, target.credentials, target.options);
  }

  static async start(service: Endpoint, trustDomain: string): Promise<Relay> {
    const relay = new Relay(service);
    const root = await makeRoot('Relay');
    const tls = tlsMaterial([await controlPlaneLeaf(root, trustDomain), root]);
    const pair: handleBidiStreamingCall<PairRequest, PairResponse> = (call) => {
      relay.#pair(call);
    };
    relay.#server = await startGrpcServer(tls, [[NodeServiceService, { pair }]]);
    return relay;
  }

  get endpoint(): Endpoint {
    if (this.#server === undefined) throw new Error('the relay does not listen');
    return this.#server.endpoint;
  }

  stop(): void {
    this.#server?.close();
    this.#upstream.close();
  }

  #pair(device: ServerDuplexStream<PairRequest, PairResponse>): void {
    const service = this.#call();
    const record: RecordedCall = { requests: [], responses: [] };
    this.recorded.push(record);
    const hangUp = (): void => {
      service.cancel();
      if (!device.cancelled) device.emit('error', { code: status.UNAVAILABLE, details: 'hung up' });
    };
    let toService = Promise.resolve();
    let toDevice = Promise.resolve();
    device.on('data', (request: PairRequest) => {
      record.requests.push(request);
      toService = toService.then(async () => {
        const passed = await tampered(await this.#request(request), this.tampering.toService);
        for (const message of passed) service.write(message);
        if (passed.length === 0) hangUp();
      });
    });
    device.on('end', () => void toService.then(() => service.end()));
    device.on('cancelled', () => {
      service.cancel();
    });
    service.on('data', (response: PairResponse) => {
      record.responses.push(response);
      toDevice = toDevice.then(async () => {
        const passed = await tampered(await this.#response(response), this.tampering.toDevice);
        for (const message of passed) device.write(message);
        if (passed.length === 0) hangUp();
      });
    });
    // How it ended comes with the status, also when that is a failure.
    service.on('error', () => undefined);
    service.on('status', ({ code, details, metadata }: StatusObject) => {
      void toDevice.then(() => {
        if (code === status.OK) device.end();
        else if (!device.cancelled) device.emit('error', { code, details, metadata });
      });
    });
  }

  #call(): ClientDuplexStream<PairRequest, PairResponse> {
    const { pair } = NodeServiceService;
    return this.#upstream.makeBidiStreamRequest(
      pair.path,
      pair.requestSerialize,
      pair.responseDeserialize,
      new Metadata(),
      {},
    );
  }

  async #request({ message }: PairRequest): Promise<PairRequest> {
    switch (message?.$case) {
      case 'hello':
        this.passed.hellos += 1;
        return { message: { $case: 'hello', value: await edited(message.value, this.edits.hello) } };
      case 'proof':
        this.passed.proofs += 1;
        return { message: { $case: 'proof', value: await edited(message.value, this.edits.proof) } };
      case undefined:
        return { message: undefined };
    }
  }

  async #response({ message }: PairResponse): Promise<PairResponse> {
    switch (message?.$case) {
      case 'welcome':
        this.passed.welcomes += 1;
        return { message: { $case: 'welcome', value: await edited(message.value, this.edits.welcome) } };
      case 'receipt':
        this.passed.receipts += 1;
        return { message };
      case undefined:
        return { message: undefined };
    }
  }
}

async function edited<Message>(message: Message, edit: Edit<Message> | undefined): Promise<Message> {
  return edit === undefined ? message : edit(message);
}

async function tampered<Message>(
  message: Message,
  tamper: Tamper<Message> | undefined,
): Promise<readonly Message[]> {
  return tamper === undefined ? [message] : tamper(message);
}

import { Client, Metadata, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { DomainError } from '../../errors/domain-error.js';
import {
  NodeServiceService,
  type PairRequest,
  type PairResponse,
  type PairWelcome,
} from '../../generated/palyra/controlplane/v1/node_service.js';
import { clientKindToProto } from '../../identity/client-kind-message.js';
import type { ConfirmedServer, DeviceHandshake } from '../../pairing/protocol/device-handshake.js';
import {
  type CheckedWelcome,
  type Hello,
  parseWelcome,
  type Proof,
} from '../../pairing/protocol/messages.js';
import { ClientError } from '../client-error.js';
import type { GrpcTarget } from '../grpc/secure-target.js';
import { explainFailure } from '../grpc/unary-call.js';

/** The whole handshake, both ways (DESIGN §5). */
export const PAIR_TIMEOUT_MS = 30_000;

export interface PairCallOptions {
  readonly signal: AbortSignal;
  /** Keeps what must not be lost; the proof is sent once it has resolved. */
  readonly beforeProof: (server: ConfirmedServer) => Promise<void>;
}

/**
 * Plays `NodeService.Pair`. Throws `unauthenticated` (a `DomainError`) when the server does not know the code; in all
 * cases, a receipt among them, only `Collect` over verified TLS tells what came of it, since nothing here is.
 */
export async function callPair(
  target: GrpcTarget,
  handshake: DeviceHandshake,
  options: PairCallOptions,
): Promise<void> {
  const client = new Client(target.address, target.credentials, target.options);
  const call = openCall(client);
  const onAbort = (): void => {
    call.cancel();
  };
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    await exchange(call, handshake, options);
  } catch (error) {
    throw await explain(target, error, options.signal);
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    call.cancel();
    client.close();
  }
}

type PairCall = ClientDuplexStream<PairRequest, PairResponse>;

function openCall(client: Client): PairCall {
  const method = NodeServiceService.pair;
  const call = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    new Metadata(),
    { deadline: Date.now() + PAIR_TIMEOUT_MS },
  );
  // The iteration below gets errors; one that comes when it is over must not end the process.
  call.on('error', () => undefined);
  return call;
}

async function exchange(call: PairCall, handshake: DeviceHandshake, options: PairCallOptions): Promise<void> {
  const answers = (call as AsyncIterable<PairResponse>)[Symbol.asyncIterator]();
  call.write({ message: { $case: 'hello', value: helloMessage(handshake.hello) } });
  const server = handshake.handleWelcome(await readWelcome(answers));
  await options.beforeProof(server);
  call.write({ message: { $case: 'proof', value: proofMessage(server.makeProof()) } });
  call.end();
  await readReceipt(answers);
}

async function readWelcome(answers: AsyncIterator<PairResponse>): Promise<CheckedWelcome> {
  const message = await nextMessage(answers);
  if (message?.$case !== 'welcome') throw notTheProtocol();
  return welcomeOf(message.value);
}

async function readReceipt(answers: AsyncIterator<PairResponse>): Promise<void> {
  if ((await nextMessage(answers))?.$case !== 'receipt') throw notTheProtocol();
}

async function nextMessage(answers: AsyncIterator<PairResponse>): Promise<PairResponse['message']> {
  const next = await answers.next();
  return next.done === true ? undefined : next.value.message;
}

function welcomeOf(message: PairWelcome): CheckedWelcome {
  try {
    return parseWelcome(message);
  } catch (cause) {
    throw notTheProtocol(cause);
  }
}

function helloMessage(hello: Hello): {
  [Field in keyof Hello]: Field extends 'clientKind' ? ReturnType<typeof clientKindToProto> : Hello[Field];
} {
  return { ...hello, clientKind: clientKindToProto(hello.clientKind) };
}

function proofMessage(proof: Proof): Proof {
  return { confirmP: proof.confirmP, csr: proof.csr, identitySignature: proof.identitySignature };
}

function notTheProtocol(cause?: unknown): ClientError {
  return new ClientError(
    'refused',
    'FALSE_SERVER',
    'the server does not speak the pairing protocol as it should',
    {
      advice: 'check the address and that both sides are of the same version',
      cause,
    },
  );
}

async function explain(target: GrpcTarget, error: unknown, signal: AbortSignal): Promise<unknown> {
  if (error instanceof ClientError || error instanceof DomainError || !isServiceError(error)) return error;
  return explainFailure(target, error, { signal, timeoutMs: PAIR_TIMEOUT_MS });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'details' in error && typeof error.code === 'number';
}

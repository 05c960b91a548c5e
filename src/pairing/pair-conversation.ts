import type { Observer } from 'rxjs';
import { DomainError, malformed } from '../errors/domain-error.js';
import type {
  PairHello,
  PairProof,
  PairRequest,
  PairResponse,
} from '../generated/palyra/controlplane/v1/node_service.js';
import { clientKindFromProto } from '../identity/client-kind-message.js';
import { type PairingObserver, type PairingOutcome, outcomeOf } from './pairing-observer.js';
import type { PairingServer, PairingSession } from './pairing-server.js';
import type { HelloInput, Welcome } from './protocol/messages.js';

/** How long one handshake may take, milliseconds (DESIGN §5). */
export const HANDSHAKE_TIMEOUT_MS = 30_000;

type Step = 'hello' | 'answering' | 'proof' | 'over';

/**
 * The order of messages of one `Pair` call: hello, welcome, proof, receipt, and nothing else. A cancelled call looks like
 * one that the device has ended, so only a finished protocol counts as finished.
 */
export class PairConversation implements Observer<PairRequest> {
  #step: Step = 'hello';
  #session: PairingSession | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(
    private readonly pairing: PairingServer,
    private readonly source: string,
    private readonly answers: Observer<PairResponse>,
    private readonly observer: PairingObserver,
  ) {
    this.#timer = setTimeout(() => {
      this.fail(
        new DomainError('timeout', 'HANDSHAKE_TIMEOUT', 'the handshake took longer than 30 s; begin again'),
      );
    }, HANDSHAKE_TIMEOUT_MS);
  }

  next(request: PairRequest): void {
    this.advance(request).catch((error: unknown) => {
      this.fail(error);
    });
  }

  error(error: unknown): void {
    this.fail(error);
  }

  /** The device sends no more. While an answer is on its way that is in order; before the proof it is not. */
  complete(): void {
    if (this.#step === 'hello' || this.#step === 'proof') {
      this.fail(malformed('HANDSHAKE_INCOMPLETE', 'the handshake ended before the proof was sent'));
    }
  }

  /** Forgets the session; called when the call is over, however it ended. */
  end(outcome: PairingOutcome = 'abandoned'): void {
    if (this.#step === 'over') return;
    this.#step = 'over';
    this.observer.pairingEnded(outcome);
    clearTimeout(this.#timer);
    this.#session?.end();
    this.#session = undefined;
  }

  private async advance({ message }: PairRequest): Promise<void> {
    if (this.#step === 'hello' && message?.$case === 'hello') {
      await this.answerHello(message.value);
    } else if (this.#step === 'proof' && message?.$case === 'proof') {
      await this.answerProof(message.value);
    } else if (this.#step !== 'over') {
      throw malformed('UNEXPECTED_MESSAGE', 'Pair takes one hello and, after welcome, one proof');
    }
  }

  private async answerHello(hello: PairHello): Promise<void> {
    this.#step = 'answering';
    const session = await this.pairing.begin(helloInput(hello), this.source);
    if (this.isOver()) {
      session.end();
      return;
    }
    this.#session = session;
    this.#step = 'proof';
    this.answers.next({ message: { $case: 'welcome', value: welcomeToProto(session.welcome) } });
  }

  private async answerProof(proof: PairProof): Promise<void> {
    this.#step = 'answering';
    await this.#session?.finish(proof);
    if (this.isOver()) return;
    this.answers.next({ message: { $case: 'receipt', value: {} } });
    this.end('requested');
    this.answers.complete();
  }

  private fail(error: unknown): void {
    if (this.#step === 'over') return;
    this.end(outcomeOf(error));
    this.answers.error(error);
  }

  /** Asked again after an await, when the call may have ended meanwhile. */
  private isOver(): boolean {
    return this.#step === 'over';
  }
}

function helloInput(hello: PairHello): HelloInput {
  return { ...hello, clientKind: clientKindFromProto(hello.clientKind) ?? '' };
}

function welcomeToProto(welcome: Welcome): Extract<PairResponse['message'], { $case: 'welcome' }>['value'] {
  return {
    ...welcome,
    grpcEndpoints: [...welcome.grpcEndpoints],
    quicEndpoints: [...welcome.quicEndpoints],
    roots: [...welcome.roots],
    epoch: BigInt(welcome.epoch),
    sequence: BigInt(welcome.sequence),
  };
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { CollectResponse } from '../../generated/palyra/controlplane/v1/node_service.js';
import { PairingState } from '../../generated/palyra/controlplane/v1/pairing.js';
import type { TrustBundle } from '../../generated/palyra/controlplane/v1/trust_bundle.js';
import { ClientError, stoppedBy } from '../client-error.js';
import { openBundleChannel } from '../grpc/bundle-channel.js';
import { type Endpoint, parseEndpoint } from '../grpc/endpoint.js';
import { RemoteError } from '../remote-error.js';
import { ClusterTimeWatch } from './cluster-time.js';
import { callCollect } from './collect-call.js';
import type { PendingPairing } from './device-records.js';
import type { PairingObserver } from './pairing-event.js';

/** What came of a pairing, told by the server over verified TLS. */
export type CollectOutcome =
  | {
      readonly outcome: 'certificate';
      readonly chain: readonly Buffer[];
      readonly bundle: TrustBundle | undefined;
    }
  | { readonly outcome: 'rejected'; readonly reason: string }
  | { readonly outcome: 'expired' }
  /** The server knows nothing of it: begin again. */
  | { readonly outcome: 'not_found' };

export interface CollectionOptions {
  /** Whether a server was spoken with just now: then one that is away is waited for. */
  readonly contacted: boolean;
  readonly signal: AbortSignal;
}

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;

/**
 * Asks until there is an outcome. Endpoints are tried in turn; once one has answered, a server that goes away is waited
 * for. Throws `unreachable` when none ever answered, `refused` when only false servers did, and what `signal` says.
 */
export async function collectCertificate(
  pending: PendingPairing,
  observe: PairingObserver,
  { contacted, signal }: CollectionOptions,
): Promise<CollectOutcome> {
  const waiting = new Waiting(observe, contacted, new ClusterTimeWatch(pending.cluster, observe));
  let retryMs = FIRST_RETRY_MS;
  for (;;) {
    const round = await askAll(pending, waiting, signal);
    if ('outcome' in round) return round;
    if (round.answered) retryMs = FIRST_RETRY_MS;
    if (!waiting.contacted || isFinal(round.failure)) throw round.failure ?? nothingToAsk();
    if (round.failure !== undefined) waiting.lost(round.failure);
    await pause(retryMs, round.failure, signal);
    retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
  }
}

/** A round without outcome: whether any server answered, and the failure that says most. */
interface Round {
  readonly answered: boolean;
  readonly failure: Error | undefined;
}

async function askAll(
  pending: PendingPairing,
  waiting: Waiting,
  signal: AbortSignal,
): Promise<CollectOutcome | Round> {
  let failure: Error | undefined;
  for (const endpoint of endpointsOf(pending)) {
    try {
      const outcome = await askOne(endpoint, pending, waiting, signal);
      // The server ended the stream in good order, while the request still waits: ask again.
      return outcome ?? { answered: true, failure: undefined };
    } catch (error) {
      if (signal.aborted) throw stoppedBy(signal);
      if (isNotFound(error)) return { outcome: 'not_found' };
      failure = moreTelling(failure, error);
    }
  }
  return { answered: false, failure };
}

async function askOne(
  endpoint: Endpoint,
  pending: PendingPairing,
  waiting: Waiting,
  signal: AbortSignal,
): Promise<CollectOutcome | undefined> {
  const target = openBundleChannel(endpoint, pending.cluster);
  for await (const answer of callCollect(target, pending.collectToken, signal)) {
    waiting.times.see(answer.bundle);
    const outcome = outcomeOf(answer);
    if (outcome !== undefined) return outcome;
    waiting.answered(answer);
  }
  return undefined;
}

function outcomeOf(answer: CollectResponse): CollectOutcome | undefined {
  switch (answer.state) {
    case PairingState.PAIRING_STATE_REJECTED:
      return { outcome: 'rejected', reason: answer.reason };
    case PairingState.PAIRING_STATE_EXPIRED:
      return { outcome: 'expired' };
    case PairingState.PAIRING_STATE_APPROVED:
    case PairingState.PAIRING_STATE_COMPLETED:
      if (answer.certificateChain.length === 0) return undefined;
      return { outcome: 'certificate', chain: answer.certificateChain, bundle: answer.bundle };
    case PairingState.PAIRING_STATE_UNSPECIFIED:
    case PairingState.PAIRING_STATE_PENDING_APPROVAL:
    case PairingState.UNRECOGNIZED:
      return undefined;
  }
}

/** Tells the observer once that the device waits, and once each time that the server goes away. */
class Waiting {
  #told = false;
  #connected: boolean;

  constructor(
    private readonly observe: PairingObserver,
    private everContacted: boolean,
    readonly times: ClusterTimeWatch,
  ) {
    this.#connected = everContacted;
  }

  get contacted(): boolean {
    return this.everContacted;
  }

  answered(answer: CollectResponse): void {
    this.#connected = true;
    this.everContacted = true;
    if (this.#told) return;
    this.#told = true;
    const { requestId, expireTime } = answer;
    this.observe({ event: 'waiting_for_approval', requestId, expiresAt: expireTime?.getTime() });
  }

  lost(failure: Error): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.observe({ event: 'disconnected', message: failure.message });
  }
}

function endpointsOf(pending: PendingPairing): Endpoint[] {
  const texts = [...new Set(pending.cluster.grpcEndpoints)];
  return texts.map(parseEndpoint).filter((endpoint) => endpoint !== undefined);
}

function isNotFound(error: unknown): boolean {
  return error instanceof RemoteError && error.code === 'NOT_FOUND';
}

/** A false server says more than an absent one, and an answer more than both. */
function moreTelling(before: Error | undefined, now: unknown): Error {
  const error = now instanceof Error ? now : new Error(String(now));
  return before === undefined || weight(error) > weight(before) ? error : before;
}

function weight(error: Error): number {
  if (!(error instanceof ClientError)) return 2;
  return error.failure === 'refused' ? 1 : 0;
}

/** Waiting does not mend these; it does mend absence, overload and a restart. */
function isFinal(error: Error | undefined): boolean {
  if (error instanceof ClientError) return error.failure !== 'unreachable';
  if (error instanceof RemoteError)
    return !['UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'INTERNAL'].includes(error.code);
  return error !== undefined;
}

function nothingToAsk(): ClientError {
  return new ClientError(
    'failed',
    'NO_ANSWER',
    'the server ended the call without saying how the request stands',
    {
      advice: 'run the same command again',
    },
  );
}

async function pause(milliseconds: number, failure: Error | undefined, signal: AbortSignal): Promise<void> {
  const told = failure instanceof RemoteError ? failure.retryAfterMs : undefined;
  try {
    await sleep(Math.min(told ?? milliseconds, LONGEST_RETRY_MS), undefined, { signal });
  } catch {
    throw stoppedBy(signal);
  }
}

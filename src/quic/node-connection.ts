import type { ChainVerdict } from '../ca/chain-verification.js';
import type { DeviceIdentity } from '../identity/device-identity.js';
import type { Clock } from '../time/clock.js';
import {
  decideAdmission,
  type AdmissionDecision,
  type DeviceChainVerifier,
  type RefusalReason,
} from './admission.js';
import type { BoundReason, ConnectionBounds, Reservation, Slot } from './connection-bounds.js';
import { closeCode, type DeviceConnections, type ListedConnection } from './device-connections.js';
import { formatHostPort, type HostPort } from '../network/network-address.js';
import type { CloseReason } from './node-connections.js';
import type { NodeRpcHandler } from './node-rpc-handler.js';
import { NodeRpcStreams } from './node-rpc-streams.js';
import type { ConnectionEnd, ConnectionOwner, QuicConnection } from './quic-connection.js';
import type { QuicObserver } from './quic-observer.js';
import type { QuicSettings } from './quic-settings.js';
import { type BudgetVerdict, type ConnectionTraffic, judgeBudget } from './receive-budget.js';
import { TRANSPORT_ERROR } from './refusal-packet.js';

/** Port to the registry of devices. */
export interface IdentityReader {
  /** The identity as it is committed now, never from a cache; undefined when there is none. */
  read(deviceId: string): Promise<DeviceIdentity | undefined>;
}

/** Port to the registry: a certificate was admitted that had never been admitted before. May be called twice for one. */
export type AdmissionNote = (deviceId: string, fingerprint: string) => Promise<void>;

/** What the connections of one endpoint share. */
export interface NodeConnectionContext {
  readonly settings: QuicSettings;
  readonly clock: Clock;
  readonly bounds: ConnectionBounds;
  readonly devices: DeviceConnections;
  readonly verifyChain: DeviceChainVerifier;
  readonly identities: IdentityReader;
  readonly noteAdmitted: AdmissionNote;
  /** What stops all admission, for the log; asked once the identity was read. */
  readonly admissionHeld: () => string | undefined;
  readonly observer: QuicObserver;
  readonly handler: NodeRpcHandler;
}

const TRANSPORT_NO_ERROR = 0;
/** RFC 9000 §20.1: CRYPTO_BUFFER_EXCEEDED. */
const TRANSPORT_BUFFER_EXCEEDED = 0x0d;

type Verified = Extract<ChainVerdict, { ok: true }>;
type Admitted = Extract<AdmissionDecision, { admitted: true }>;

/**
 * One connection of a device, from its first Initial to its end. No stream is read before it is admitted: in TLS 1.3 the
 * client believes it is in before we have judged its certificate (DESIGN §6).
 */
export class NodeConnection implements ConnectionOwner, ListedConnection {
  #state: 'handshaking' | 'deciding' | 'admitted' | 'ended' = 'handshaking';
  readonly #openedAt: number;
  #verified: Verified | undefined;
  #streams: NodeRpcStreams | undefined;
  #connectionSlot: Slot | undefined;
  #leaveDevice: (() => void) | undefined;
  #endsAt = Number.POSITIVE_INFINITY;
  #endReason: CloseReason = 'expired';
  #isDraining = false;

  constructor(
    private readonly connection: QuicConnection,
    private readonly remote: HostPort,
    private readonly handshakeSlot: Slot,
    private readonly context: NodeConnectionContext,
    private readonly forget: () => void,
  ) {
    this.#openedAt = context.clock.monotonic();
  }

  get isAdmitted(): boolean {
    return this.#state === 'admitted';
  }

  get fingerprint(): string {
    return this.#verified?.fingerprint ?? '';
  }

  receive(datagram: Buffer, from: HostPort): boolean {
    const processed = this.connection.receive(datagram, from);
    const budget = this.#budget();
    if (budget === 'over') this.connection.close(false, TRANSPORT_BUFFER_EXCEEDED);
    else if (budget === 'spent' && !this.#isDraining) this.drain();
    return processed;
  }

  end(reason: CloseReason): void {
    // What was written before goes out before: after the close nothing does.
    if (this.isAdmitted) this.connection.flush();
    this.connection.close(true, closeCode(reason));
  }

  endBy(at: number, reason: CloseReason): void {
    if (at >= this.#endsAt) return;
    this.#endsAt = at;
    this.#endReason = reason;
    this.connection.mark();
  }

  /**
   * Leaves its place among the handshakes to somebody else, as long as the peer has not finished its own; returns whether
   * it did.
   */
  giveWay(): boolean {
    if (this.#state !== 'handshaking') return false;
    this.context.observer.observe({
      event: 'handshake_turned_away',
      reason: 'gave_way',
      remote: formatHostPort(this.remote),
    });
    this.connection.close(false, TRANSPORT_ERROR.connection_refused);
    return true;
  }

  /** Ends as soon as what the device has asked for is answered; nothing else is taken any more. */
  drain(): void {
    this.#isDraining = true;
    this.#streams?.drain();
    this.#endIfDrained();
  }

  endIfUntrusted(): boolean {
    const verdict = this.context.verifyChain(this.connection.peerChain(), this.context.clock.now());
    // A certificate that has expired ends its connection by its own time.
    if (this.connection.hasEnded || verdict.ok || verdict.reason !== 'untrusted') return false;
    this.end('revoked');
    return true;
  }

  /** Drops it without waiting for late packets. */
  abandon(): void {
    this.connection.abandon();
  }

  onEstablished(): void {
    if (this.connection.isResumed) {
      this.#refuse('resumed_session', 'the client showed no certificate in this handshake');
      return;
    }
    const verdict = this.context.verifyChain(this.connection.peerChain(), this.context.clock.now());
    if (!verdict.ok) {
      this.#refuse('chain', verdict.reason);
      return;
    }
    this.#verified = verdict;
    this.#state = 'deciding';
    this.#leaveDevice = this.context.devices.enter(verdict.deviceId, this);
    this.#decide(verdict).catch((error: unknown) => {
      this.#refuse('identity_unreadable', 'the device record could not be read', error);
    });
  }

  onTurn(): void {
    const { clock } = this.context;
    if (this.#isWaiting() && this.#waitLeftMs() <= 0) {
      this.#timeOut();
      return;
    }
    if (clock.now() >= this.#endsAt) {
      this.end(this.#endReason);
      return;
    }
    this.#streams?.turn();
    this.#endIfDrained();
  }

  onStreamDrained(streamId: number): void {
    this.#streams?.drained(streamId);
  }

  onStreamStopped(streamId: number): void {
    this.#streams?.stopped(streamId);
  }

  wakeInMs(): number | undefined {
    const { clock } = this.context;
    if (this.#isWaiting()) return this.#waitLeftMs();
    return Math.min(this.#endsAt - clock.now(), this.#streams?.wakeInMs() ?? Number.POSITIVE_INFINITY);
  }

  onEnded(end: ConnectionEnd): void {
    const wasHandshaking = this.#state === 'handshaking';
    const wasAdmitted = this.isAdmitted;
    this.#state = 'ended';
    this.handshakeSlot.release();
    this.#connectionSlot?.release();
    this.#leaveDevice?.();
    this.#streams?.abandon();
    const remote = formatHostPort(this.remote);
    const { by, code } = end;
    if (wasHandshaking && code !== undefined && code > 0 && !end.application) {
      this.context.observer.observe({ event: 'handshake_failed', code, remote });
    }
    const deviceId = this.#verified?.deviceId;
    this.context.observer.observe({ event: 'closed', deviceId, wasAdmitted, by, code, remote });
  }

  onGone(): void {
    this.forget();
  }

  async #decide(verified: Verified): Promise<void> {
    const identity = await this.context.identities.read(verified.deviceId);
    // A revocation that was committed after the read has found this connection in its device's list and ended it.
    if (this.#state !== 'deciding') return;
    const { clock, settings } = this.context;
    const held = this.context.admissionHeld();
    const decision = decideAdmission(verified, identity, clock.now(), settings.overlapMs);
    if (held !== undefined) this.#refuse('held', held);
    else if (decision.admitted) this.#admit(decision);
    else this.#refuse(decision.reason, decision.detail);
  }

  #admit(decision: Admitted): void {
    const { observer, clock } = this.context;
    const reservation = this.#reserve(decision);
    if (!reservation.ok) {
      this.#refuse(reservation.reason, 'no place left');
      return;
    }
    this.#connectionSlot = reservation.slot;
    this.handshakeSlot.release();
    this.#state = 'admitted';
    this.endBy(decision.endsAt, decision.endReason);
    this.#observeOverlap(decision);
    const { deviceId, fingerprint } = decision;
    this.#streams = new NodeRpcStreams({
      connection: this.connection,
      device: { deviceId, fingerprint, remote: this.remote },
      settings: this.context.settings,
      handler: this.context.handler,
      monotonic: () => clock.monotonic(),
      onAnswered: () => {
        if (this.#isDraining) this.connection.mark();
      },
      onFailure: (error) => {
        observer.observe({ event: 'failure', where: 'node RPC', error });
      },
    });
    observer.observe({ event: 'admitted', deviceId, fingerprint, remote: formatHostPort(this.remote) });
    this.connection.mark();
  }

  /**
   * Whoever has an older certificate, a thief perhaps, must not keep the newest one out by holding all the device's places:
   * the overlap, and with it the older one's end, would never begin.
   */
  #reserve({ deviceId, fingerprint, currentFingerprint }: Admitted): Reservation {
    const { bounds, devices } = this.context;
    const reservation = bounds.reserveConnection(deviceId);
    if (reservation.ok || reservation.reason !== 'connections_of_device_full') return reservation;
    if (fingerprint !== currentFingerprint || !devices.endOneForNewest(deviceId, fingerprint))
      return reservation;
    return bounds.reserveConnection(deviceId);
  }

  /** The overlap of DESIGN §7, also for what was admitted before its first admission has been written down. */
  #observeOverlap({ deviceId, fingerprint, currentFingerprint, first }: Admitted): void {
    const { devices, clock, settings } = this.context;
    const overlapEnd = clock.now() + settings.overlapMs;
    if (first) {
      devices.supersedeOthers(deviceId, fingerprint, overlapEnd);
      this.#note(deviceId, fingerprint);
    } else if (fingerprint !== currentFingerprint && devices.hasAdmitted(deviceId, currentFingerprint)) {
      this.endBy(overlapEnd, 'superseded');
    }
  }

  #endIfDrained(): void {
    if (!this.#isDraining || this.connection.hasEnded) return;
    if (this.#streams?.hasCallsInFlight === true || !this.connection.hasWrittenAll) return;
    this.end('going_away');
  }

  #note(deviceId: string, fingerprint: string): void {
    this.context.noteAdmitted(deviceId, fingerprint).catch((error: unknown) => {
      this.context.observer.observe({ event: 'failure', where: 'noting a first admission', error });
    });
  }

  /** The peer learns "not admitted" or "busy", the observer why. */
  #refuse(
    reason: RefusalReason | BoundReason | 'identity_unreadable' | 'held',
    detail: string,
    error?: unknown,
  ): void {
    if (this.#state === 'ended') return;
    const isFull = reason === 'connections_full' || reason === 'connections_of_device_full';
    this.context.observer.observe({
      event: 'refused',
      reason,
      detail,
      deviceId: this.#verified?.deviceId,
      remote: formatHostPort(this.remote),
      ...(error === undefined ? {} : { error }),
    });
    this.end(isFull ? 'busy' : 'not_admitted');
  }

  #timeOut(): void {
    this.context.observer.observe({ event: 'handshake_timed_out', remote: formatHostPort(this.remote) });
    if (this.#state === 'handshaking') this.connection.close(false, TRANSPORT_NO_ERROR);
    else this.end('not_admitted');
  }

  #isWaiting(): boolean {
    return this.#state === 'handshaking' || this.#state === 'deciding';
  }

  #ageMs(): number {
    return this.context.clock.monotonic() - this.#openedAt;
  }

  #waitLeftMs(): number {
    return this.context.settings.handshakeTimeoutMs - this.#ageMs();
  }

  /** What others forge in the peer's name must not count against it. */
  #budget(): BudgetVerdict {
    const { connection } = this;
    if (connection.hasEnded || this.#judge(connection.traffic) === 'within') return 'within';
    return this.#judge(connection.authenticTraffic());
  }

  #judge(traffic: ConnectionTraffic): BudgetVerdict {
    const { maxUnreadBytes, maxOverheadBytes } = this.context.settings;
    return judgeBudget(traffic, {
      established: this.connection.isEstablished,
      maxUnreadBytes,
      maxOverheadBytes,
    });
  }
}

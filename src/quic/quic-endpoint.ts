import quiche from '@matrixai/quic/native/quiche.js';
import { randomBytes } from 'node:crypto';
import type { QuicRuntimeTlsMaterial } from '../ca/trust-bundle.js';
import { DomainError } from '../errors/domain-error.js';
import type { Clock } from '../time/clock.js';
import type { DeviceChainVerifier } from './admission.js';
import { ConnectionBounds, type Slot } from './connection-bounds.js';
import { DatagramRouter, keyOf } from './datagram-router.js';
import { DeviceConnections } from './device-connections.js';
import type { HostPort } from '../network/network-address.js';
import {
  NodeConnection,
  type AdmissionNote,
  type IdentityReader,
  type NodeConnectionContext,
} from './node-connection.js';
import type { CloseReason, NodeConnections } from './node-connections.js';
import type { NodeRpcHandler } from './node-rpc-handler.js';
import { QuicConnection } from './quic-connection.js';
import type { QuicEvent, QuicObserver } from './quic-observer.js';
import { DEFAULT_QUIC_SETTINGS, type QuicSettings } from './quic-settings.js';
import { QuicheConfigs } from './quiche-config.js';
import { statelessResetToken, tokenAsInteger } from './stateless-reset.js';
import { TurnQueue } from './turn-queue.js';
import { UdpSocket } from './udp-socket.js';

export interface QuicEndpointParts {
  readonly tls: QuicRuntimeTlsMaterial;
  readonly clock: Clock;
  /** Checks a chain against the roots in force. */
  readonly verifyChain: DeviceChainVerifier;
  readonly identities: IdentityReader;
  readonly noteAdmitted: AdmissionNote;
  /** What stops all admission, for the log; by default nothing does. */
  readonly admissionHeld?: () => string | undefined;
  readonly handler: NodeRpcHandler;
  readonly observer: QuicObserver;
  /** The list that the registry closes connections through; its own when left out. */
  readonly devices?: DeviceConnections;
  readonly settings?: Partial<QuicSettings>;
  /** 32 bytes each; the same on all replicas behind one address and after a restart. Random when left out. */
  readonly keys?: { readonly retry: Uint8Array; readonly statelessReset: Uint8Array };
}

/** Of the time for a handshake: one that has lasted so long gives way once places are short. */
const STALLED_PART = 4;

/**
 * The QUIC door (DESIGN §6): the socket, and the connections behind it. What a datagram is worth is decided by the
 * `DatagramRouter`, who comes in by each `NodeConnection`. Whatever a datagram holds, no exception leaves this class.
 */
export class QuicEndpoint implements NodeConnections {
  readonly devices: DeviceConnections;
  readonly #parts: QuicEndpointParts;
  readonly #settings: QuicSettings;
  readonly #bounds: ConnectionBounds;
  readonly #context: NodeConnectionContext;
  readonly #connections = new Map<string, NodeConnection>();
  readonly #turns = new TurnQueue((error) => {
    this.#observe({ event: 'failure', where: 'a turn', error });
  });
  readonly #resetKey: Uint8Array;
  readonly #router: DatagramRouter;
  #configs: QuicheConfigs;
  #socket: UdpSocket | undefined;
  #isAccepting = false;
  #onAllGone: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  /** Throws `malformed` when the TLS material cannot be used. */
  constructor(parts: QuicEndpointParts) {
    this.#parts = parts;
    this.#settings = { ...DEFAULT_QUIC_SETTINGS, ...parts.settings };
    this.#bounds = new ConnectionBounds(this.#settings, {
      monotonic: () => parts.clock.monotonic(),
      stalledAfterMs: this.#settings.handshakeTimeoutMs / STALLED_PART,
    });
    this.devices = parts.devices ?? new DeviceConnections();
    this.#context = {
      settings: this.#settings,
      clock: parts.clock,
      bounds: this.#bounds,
      devices: this.devices,
      verifyChain: parts.verifyChain,
      identities: parts.identities,
      noteAdmitted: parts.noteAdmitted,
      admissionHeld: parts.admissionHeld ?? (() => undefined),
      handler: parts.handler,
      observer: {
        observe: (event) => {
          this.#observe(event);
        },
      },
    };
    this.#resetKey = parts.keys?.statelessReset ?? randomBytes(32);
    this.#router = new DatagramRouter({
      bounds: this.#bounds,
      keys: { retry: parts.keys?.retry ?? randomBytes(32), statelessReset: this.#resetKey },
      retryTokenLifetimeMs: this.#settings.retryTokenLifetimeMs,
      isKnown: (key) => this.#connections.has(key),
    });
    this.#configs = this.#configsFor(parts.tls);
  }

  /** Where it listens; undefined before `listen` and after `close`. */
  get address(): HostPort | undefined {
    return this.#socket?.address;
  }

  get admittedConnections(): number {
    return this.#bounds.admittedConnections;
  }

  get handshakesInProgress(): number {
    return this.#bounds.handshakesInProgress;
  }

  /** How many connections may be admitted at once; see `serveWithConnectionLimit`. */
  limitConnections(maxConnections: number): void {
    this.#bounds.limitConnections(maxConnections);
  }

  /**
   * Opens the socket on an IPv4 or IPv6 address; port 0 lets the system choose. Resolves with the address in use, rejects
   * with the system's error when it cannot be had.
   */
  async listen(at: HostPort): Promise<HostPort> {
    if (this.#socket !== undefined)
      throw new DomainError('wrong_state', 'ALREADY_LISTENING', 'the endpoint listens already');
    const socket = await UdpSocket.bind(at, this.#settings.socketBufferBytes);
    this.#socket = socket;
    socket.start({
      onDatagram: (datagram, from) => {
        this.#onDatagram(datagram, from);
      },
      onSendFailed: (code) => {
        this.#observe({ event: 'send_failed', code });
      },
      onFailed: (error) => {
        this.#observe({ event: 'socket_failed', error });
      },
    });
    this.#isAccepting = true;
    return socket.address;
  }

  /** New handshakes use this material; open connections keep what they have. Throws `malformed` and changes nothing when it cannot be used. */
  replaceTlsMaterial(material: QuicRuntimeTlsMaterial): void {
    this.#configs = this.#configsFor(material);
  }

  closeDevice(deviceId: string, reason: CloseReason): number {
    return this.devices.closeDevice(deviceId, reason);
  }

  closeOthers(deviceId: string, fingerprints: readonly string[], reason: CloseReason): number {
    return this.devices.closeOthers(deviceId, fingerprints, reason);
  }

  openConnections(deviceId: string): number {
    return this.devices.openConnections(deviceId);
  }

  /**
   * Turns new connections away and tells devices to go elsewhere: each once its calls in flight are answered, all of them
   * after `graceMs`. Then answers late packets for a while, and lets the port go.
   */
  close(graceMs = 0): Promise<void> {
    this.#closing ??= this.#close(graceMs).finally(() => {
      this.#closing = undefined;
    });
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#isAccepting = false;
    if (graceMs > 0) {
      for (const connection of [...this.#connections.values()]) connection.drain();
      await this.#allGone(graceMs);
    }
    for (const connection of [...this.#connections.values()]) connection.end('going_away');
    await this.#allGone(this.#settings.drainTimeoutMs);
    for (const connection of [...this.#connections.values()]) connection.abandon();
    this.#socket = undefined;
    await socket.close();
  }

  #configsFor(material: QuicRuntimeTlsMaterial): QuicheConfigs {
    const own = { chain: material.chain, key: material.key };
    try {
      const configs = new QuicheConfigs({ roots: material.bundle, own }, this.#settings);
      configs.forServer(0n);
      return configs;
    } catch (cause) {
      throw new DomainError(
        'malformed',
        'TLS_MATERIAL_UNUSABLE',
        'the certificate or key of the QUIC door cannot be used',
        { cause },
      );
    }
  }

  #onDatagram(datagram: Buffer, from: HostPort): void {
    try {
      this.#act(datagram, from);
    } catch (error) {
      this.#observe({ event: 'failure', where: 'a datagram', error });
    }
  }

  #act(datagram: Buffer, from: HostPort): void {
    const action = this.#router.route(datagram, from, this.#parts.clock.now(), this.#isAccepting);
    switch (action.do) {
      case 'deliver':
        this.#deliver(this.#connections.get(action.key), datagram, from);
        return;
      case 'accept':
        this.#accept(action.id, action.originalDestinationId, datagram, from);
        return;
      case 'answer':
        if (action.packet !== undefined) this.#send(action.packet, from);
        if (action.event !== undefined) this.#observe(action.event);
    }
  }

  #deliver(connection: NodeConnection | undefined, datagram: Buffer, from: HostPort): void {
    if (connection?.receive(datagram, from) === true) return;
    this.#observe({ event: 'datagram_dropped', reason: 'not_processed' });
  }

  #accept(id: Buffer, originalDestinationId: Buffer, datagram: Buffer, from: HostPort): void {
    const giveWay = (): boolean => this.#connections.get(keyOf(id))?.giveWay() ?? false;
    const reservation = this.#bounds.reserveHandshake(from.host, giveWay);
    if (!reservation.ok) return;
    const connection = this.#connect(id, originalDestinationId, from, reservation.slot);
    if (connection === undefined) {
      reservation.slot.release();
      return;
    }
    this.#connections.set(keyOf(id), connection);
    this.#deliver(connection, datagram, from);
  }

  #connect(
    id: Buffer,
    originalDestinationId: Buffer,
    from: HostPort,
    slot: Slot,
  ): NodeConnection | undefined {
    const local = this.#socket?.address;
    if (local === undefined) return undefined;
    try {
      // Those that this connection keeps, whatever takes their place meanwhile.
      const configs = this.#configs;
      const config = configs.forServer(tokenAsInteger(statelessResetToken(this.#resetKey, id)));
      const quic = new QuicConnection({
        native: quiche.Connection.accept(id, originalDestinationId, local, from, config),
        local,
        turns: this.#turns,
        send: (packet, to) => {
          this.#send(packet, to);
        },
        beforeHandshakeStep: () => {
          configs.forgetTickets();
        },
        monotonic: () => this.#parts.clock.monotonic(),
      });
      const connection = new NodeConnection(quic, from, slot, this.#context, () => {
        this.#forget(id);
      });
      quic.attach(connection);
      return connection;
    } catch (error) {
      this.#observe({ event: 'failure', where: 'accepting a connection', error });
      return undefined;
    }
  }

  #forget(id: Buffer): void {
    this.#connections.delete(keyOf(id));
    if (this.#connections.size === 0) this.#onAllGone?.();
  }

  #send(packet: Buffer, to: HostPort): void {
    this.#socket?.send(packet, to);
  }

  /** Resolves when no connection is left, or after so long. */
  async #allGone(withinMs: number): Promise<void> {
    if (this.#connections.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#onAllGone = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #observe(event: QuicEvent): void {
    try {
      this.#parts.observer.observe(event);
    } catch {
      // An observer that fails must not take the door with it.
    }
  }
}

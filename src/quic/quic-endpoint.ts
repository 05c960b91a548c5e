import quiche from '@matrixai/quic/native/quiche.js';
import { randomBytes } from 'node:crypto';
import type { QuicRuntimeTlsMaterial } from '../ca/trust-bundle.js';
import { DomainError } from '../errors/domain-error.js';
import type { Clock } from '../time/clock.js';
import type { DeviceChainVerifier } from './admission.js';
import { ConnectionBounds, type Slot } from './connection-bounds.js';
import { DeviceConnections } from './device-connections.js';
import { formatHostPort, type HostPort } from '../network/network-address.js';
import {
  NodeConnection,
  type AdmissionNote,
  type IdentityReader,
  type NodeConnectionContext,
} from './node-connection.js';
import type { CloseReason, NodeConnections } from './node-connections.js';
import type { NodeRpcHandler } from './node-rpc-handler.js';
import {
  OUR_CONNECTION_ID_BYTES,
  QUIC_VERSION_1,
  routePacket,
  versionNegotiationPacket,
  type PacketRoute,
} from './packet-header.js';
import { QuicConnection } from './quic-connection.js';
import type { QuicEvent, QuicObserver } from './quic-observer.js';
import { DEFAULT_QUIC_SETTINGS, type QuicSettings } from './quic-settings.js';
import { QuicheConfigs } from './quiche-config.js';
import { refusalPacket, TRANSPORT_ERROR } from './refusal-packet.js';
import { RetryTokens } from './retry-token.js';
import { statelessReset, statelessResetToken, tokenAsInteger } from './stateless-reset.js';
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

type NewConnection = Extract<PacketRoute, { to: 'new_connection' }>;

/**
 * The QUIC door (DESIGN §6): routes datagrams, validates addresses by Retry, holds the bounds, and ends connections. Who
 * comes in is decided by each `NodeConnection`. Whatever a datagram holds, no exception leaves this class.
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
  readonly #retryTokens: RetryTokens;
  #configs: QuicheConfigs;
  #socket: UdpSocket | undefined;
  #isAccepting = false;
  #onAllGone: (() => void) | undefined;

  /** Throws `malformed` when the TLS material cannot be used. */
  constructor(parts: QuicEndpointParts) {
    this.#parts = parts;
    this.#settings = { ...DEFAULT_QUIC_SETTINGS, ...parts.settings };
    this.#bounds = new ConnectionBounds(this.#settings);
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
    this.#retryTokens = new RetryTokens(
      parts.keys?.retry ?? randomBytes(32),
      this.#settings.retryTokenLifetimeMs,
    );
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

  /** Turns new connections away, tells every device to go elsewhere, answers late packets for a while, and lets the port go. */
  async close(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#isAccepting = false;
    for (const connection of [...this.#connections.values()]) connection.end('going_away');
    await this.#allGone();
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
    if (from.host.includes('%')) {
      // quiche takes no IPv6 zones, so link-local peers cannot be served.
      this.#observe({ event: 'datagram_dropped', reason: 'unusable_address' });
      return;
    }
    try {
      this.#route(datagram, from);
    } catch (error) {
      this.#observe({ event: 'failure', where: 'a datagram', error });
    }
  }

  #route(datagram: Buffer, from: HostPort): void {
    const route = routePacket(datagram, (id) => this.#connections.has(keyOf(id)));
    switch (route.to) {
      case 'connection':
        this.#deliver(this.#connections.get(keyOf(route.destinationId)), datagram, from);
        return;
      case 'new_connection':
        this.#greet(route, datagram, from);
        return;
      case 'version_negotiation':
        this.#send(
          versionNegotiationPacket(route.destinationId, route.sourceId, randomBytes(1).readUInt8()),
          from,
        );
        this.#observe({ event: 'datagram_dropped', reason: 'unknown_version' });
        return;
      case 'stateless_reset':
        this.#reset(route.destinationId, datagram.length, from);
        return;
      case 'nowhere':
        this.#observe({ event: 'datagram_dropped', reason: route.reason });
    }
  }

  #deliver(connection: NodeConnection | undefined, datagram: Buffer, from: HostPort): void {
    if (connection?.receive(datagram, from) === true) return;
    this.#observe({ event: 'datagram_dropped', reason: 'not_processed' });
  }

  #reset(destinationId: Buffer, receivedBytes: number, from: HostPort): void {
    const packet = statelessReset(this.#resetKey, destinationId, receivedBytes);
    if (packet !== undefined) this.#send(packet, from);
    this.#observe({ event: 'datagram_dropped', reason: 'unknown_connection' });
  }

  /** An Initial of nobody we know: turned away, sent round by Retry, or made a connection. */
  #greet(initial: NewConnection, datagram: Buffer, from: HostPort): void {
    const refusal = this.#isAccepting ? this.#bounds.handshakeRefusal(from.host) : 'going_away';
    if (refusal !== undefined) {
      this.#turnAway(initial, TRANSPORT_ERROR.connection_refused, from);
      this.#observe({ event: 'handshake_turned_away', reason: refusal, remote: formatHostPort(from) });
      return;
    }
    if (initial.token.length === 0) {
      this.#sendRetry(initial, from);
      return;
    }
    const binding = { address: from.host, retrySourceId: initial.destinationId };
    const verdict = this.#retryTokens.verify(initial.token, binding, this.#parts.clock.now());
    if (!verdict.ok || initial.destinationId.length !== OUR_CONNECTION_ID_BYTES) {
      this.#turnAway(initial, TRANSPORT_ERROR.invalid_token, from);
      this.#observe({ event: 'datagram_dropped', reason: verdict.ok ? 'token_forged' : verdict.reason });
      return;
    }
    this.#accept(initial.destinationId, verdict.originalDestinationId, datagram, from);
  }

  #turnAway(initial: NewConnection, code: number, to: HostPort): void {
    this.#send(refusalPacket(initial.destinationId, initial.sourceId, code), to);
  }

  #sendRetry(initial: NewConnection, to: HostPort): void {
    const retrySourceId = randomBytes(OUR_CONNECTION_ID_BYTES);
    const binding = { address: to.host, retrySourceId };
    const token = this.#retryTokens.issue(initial.destinationId, binding, this.#parts.clock.now());
    const out = Buffer.allocUnsafe(256);
    const length = quiche.retry(
      initial.sourceId,
      initial.destinationId,
      retrySourceId,
      token,
      QUIC_VERSION_1,
      out,
    );
    this.#send(out.subarray(0, length), to);
  }

  #accept(destinationId: Buffer, originalDestinationId: Buffer, datagram: Buffer, from: HostPort): void {
    const id = Buffer.from(destinationId);
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
      const config = this.#configs.forServer(tokenAsInteger(statelessResetToken(this.#resetKey, id)));
      const quic = new QuicConnection({
        native: quiche.Connection.accept(id, originalDestinationId, local, from, config),
        local,
        turns: this.#turns,
        maxDatagramBytes: this.#settings.maxDatagramBytes,
        send: (packet, to) => {
          this.#send(packet, to);
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

  async #allGone(): Promise<void> {
    if (this.#connections.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#settings.drainTimeoutMs);
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

const keyOf = (connectionId: Buffer): string => connectionId.toString('latin1');

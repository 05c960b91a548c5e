import quiche from '@matrixai/quic/native/quiche.js';
import type { Config } from '@matrixai/quic/native/types.js';
import { randomBytes } from 'node:crypto';

/** ALPN of node RPC (DESIGN §6). */
export const ALPN = 'palyra-quic-v1';

/** What this system's certificates sign with; nothing else is offered or accepted in a handshake. */
const SIGNATURE_ALGORITHMS = 'ecdsa_secp256r1_sha256:ed25519';

/** Own certificate and key, and the roots the peer is checked against; PEM. */
export interface TlsIdentity {
  readonly roots: string;
  /** Absent only in tests that play a client without a certificate. */
  readonly own: { readonly chain: string; readonly key: string } | undefined;
}

export interface TransportSettings {
  readonly idleTimeoutMs: number;
  readonly maxStreams: number;
  readonly maxUnreadBytes: number;
  readonly maxUnreadBytesPerStream: number;
  readonly maxDatagramBytes: number;
}

/** The PEM texts as bytes, encoded once for many connections. */
interface EncodedIdentity {
  readonly roots: Uint8Array;
  readonly keys: Uint8Array[] | undefined;
  readonly chains: Uint8Array[] | undefined;
}

/** Length of what BoringSSL takes for a ticket key: its name, for HMAC, for AES; 16 bytes each. */
const TICKET_KEY_BYTES = 48;

/**
 * Makes quiche's configs. Early data stays off. The peer's certificate is mandatory and its chain is checked natively too.
 *
 * quiche cannot be told to hand out no session tickets, and a client that comes back with one shows no certificate. So
 * nobody ever holds the key that opens one: each datagram that brings a handshake on makes the key anew, for all of them.
 * Once for each connection would not do: one that has sent half of its ClientHello could add the ticket that another gets
 * meanwhile. (A config for each connection costs some 15 KiB and a sixth of a handshake more.) Should one be opened all the
 * same, admission refuses it.
 */
export class QuicheConfigs {
  readonly #identity: EncodedIdentity;
  #server: Config | undefined;

  /** The PEM texts are looked at by `forServer` and `forClient`, which throw when quiche cannot use them. */
  constructor(
    identity: TlsIdentity,
    private readonly transport: TransportSettings,
  ) {
    this.#identity = {
      roots: Buffer.from(identity.roots),
      keys: identity.own && [Buffer.from(identity.own.key)],
      chains: identity.own && [Buffer.from(identity.own.chain)],
    };
  }

  /**
   * For one connection, which has to be accepted before the next call.
   * `resetToken`: the connection's stateless reset token, as an unsigned 128-bit integer.
   */
  forServer(resetToken: bigint): Config {
    this.#server ??= this.#makeServer();
    this.#server.setStatelessResetToken(resetToken);
    return this.#server;
  }

  /** To be called before each datagram that one of the server's connections in its handshake is given. */
  forgetTickets(): void {
    this.#server?.setTicketKey(randomBytes(TICKET_KEY_BYTES));
  }

  forClient(): Config {
    const config = this.#base();
    config.setInitialMaxStreamsBidi(0);
    config.setInitialMaxStreamDataBidiLocal(this.transport.maxUnreadBytesPerStream);
    config.setInitialMaxStreamDataBidiRemote(0);
    return config;
  }

  #makeServer(): Config {
    const config = this.#base();
    config.setInitialMaxStreamsBidi(this.transport.maxStreams);
    config.setInitialMaxStreamDataBidiRemote(this.transport.maxUnreadBytesPerStream);
    config.setInitialMaxStreamDataBidiLocal(0);
    return config;
  }

  #base(): Config {
    const { roots, keys, chains } = this.#identity;
    const config = quiche.Config.withBoringSslCtx(true, false, roots, keys, chains, SIGNATURE_ALGORITHMS);
    const { transport } = this;
    config.setApplicationProtos([ALPN]);
    config.setMaxIdleTimeout(transport.idleTimeoutMs);
    config.setMaxRecvUdpPayloadSize(transport.maxDatagramBytes);
    config.setMaxSendUdpPayloadSize(transport.maxDatagramBytes);
    config.setInitialMaxData(transport.maxUnreadBytes);
    config.setMaxConnectionWindow(transport.maxUnreadBytes);
    config.setMaxStreamWindow(transport.maxUnreadBytesPerStream);
    config.setInitialMaxStreamsUni(0);
    config.setInitialMaxStreamDataUni(0);
    config.enableDgram(false, 0, 0);
    config.setDisableActiveMigration(true);
    config.grease(true);
    return config;
  }
}

import quiche from '@matrixai/quic/native/quiche.js';
import type { Connection } from '@matrixai/quic/native/types.js';
import { randomBytes } from 'node:crypto';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { encodeFrame } from '../src/quic/frame-codec.js';
import { healthResponse } from '../src/quic/node-rpc-message.js';
import { OUR_CONNECTION_ID_BYTES } from '../src/quic/packet-header.js';
import { QuicheConfigs, type TlsIdentity } from '../src/quic/quiche-config.js';
import { DEFAULT_QUIC_SETTINGS } from '../src/quic/quic-settings.js';

/**
 * The least that a server on the native binding can do, as a limit to compare the service with: the same TLS and
 * transport settings, the same answer to whatever is asked. No Retry, no admission, no bounds, no store, no Nest, and
 * nothing that a peer sends is looked at. A process of its own: the identity comes as JSON on stdin.
 */

export const ECHO_STREAMS = 128;

interface Peer {
  readonly native: Connection;
  /** Its ids in the table: the one the client chose first, and ours. */
  readonly keys: readonly string[];
  /** What the congestion window has kept from leaving, by stream. */
  readonly waiting: Map<number, Buffer>;
  timer: NodeJS.Timeout | undefined;
}

const LOOPBACK = '127.0.0.1';
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
const OUT = Buffer.allocUnsafeSlow(DEFAULT_QUIC_SETTINGS.maxDatagramBytes);
const ANSWER = encodeFrame(
  healthResponse({
    device_id: '00000000-0000-7000-8000-000000000000',
    trust_domain: 'bench.palyra.internal',
    server_time_ms: Date.now(),
    version: '0.0.0',
  }),
);

const configs = new QuicheConfigs(JSON.parse(await text(process.stdin)) as TlsIdentity, {
  ...DEFAULT_QUIC_SETTINGS,
  maxStreams: ECHO_STREAMS,
});
const bufferBytes = DEFAULT_QUIC_SETTINGS.socketBufferBytes;
const socket = createSocket({ type: 'udp4', recvBufferSize: bufferBytes, sendBufferSize: bufferBytes });
const peers = new Map<string, Peer>();
/** Those with something to answer or to send in this turn of the event loop. */
const marked = new Set<Peer>();

socket.bind(0, LOOPBACK);
await once(socket, 'listening');
const local = { host: LOOPBACK, port: socket.address().port };
socket.on('message', receive);
console.log(JSON.stringify({ event: 'ready', quic: `${LOOPBACK}:${String(local.port)}` }));

function receive(datagram: Buffer, { address, port }: RemoteInfo): void {
  const { dcid } = quiche.Header.fromSlice(datagram, OUR_CONNECTION_ID_BYTES);
  const key = Buffer.from(dcid).toString('latin1');
  const from = { host: address, port };
  const peer = peers.get(key) ?? accept(key, from);
  try {
    peer.native.recv(datagram, { from, to: local });
  } catch {
    // quiche has its CONNECTION_CLOSE ready, which the turn sends.
  }
  mark(peer);
}

function accept(firstKey: string, from: { host: string; port: number }): Peer {
  const id = randomBytes(OUR_CONNECTION_ID_BYTES);
  const config = configs.forServer(randomBytes(16).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n));
  const native = quiche.Connection.accept(id, undefined, local, from, config);
  const peer: Peer = {
    native,
    keys: [firstKey, id.toString('latin1')],
    waiting: new Map(),
    timer: undefined,
  };
  for (const key of peer.keys) peers.set(key, peer);
  return peer;
}

function mark(peer: Peer): void {
  if (marked.size === 0) setImmediate(turn);
  marked.add(peer);
}

function turn(): void {
  const all = [...marked];
  marked.clear();
  for (const peer of all) {
    if (peer.native.isEstablished() && peer.native.isReadable()) answer(peer);
    write(peer);
    flush(peer);
  }
}

/** A request of these callers fits into one packet. */
function answer({ native, waiting }: Peer): void {
  for (const id of native.readable()) {
    if (native.streamRecv(id, READ_BUFFER)?.[1] === true) waiting.set(id, ANSWER);
  }
}

function write({ native, waiting }: Peer): void {
  for (const [id, bytes] of waiting) {
    const written = native.streamSend(id, bytes, true) ?? 0;
    if (written === bytes.length) waiting.delete(id);
    else waiting.set(id, bytes.subarray(written));
  }
}

function flush(peer: Peer): void {
  const { native } = peer;
  for (let sent = native.send(OUT); sent !== null; sent = native.send(OUT)) {
    const [bytes, { to }] = sent;
    socket.send(Buffer.from(OUT.subarray(0, bytes)), to.port, to.host);
  }
  clearTimeout(peer.timer);
  if (native.isClosed()) {
    for (const key of peer.keys) peers.delete(key);
    return;
  }
  const wait = native.timeout();
  if (wait === null) return;
  peer.timer = setTimeout(() => {
    native.onTimeout();
    flush(peer);
  }, wait + 1);
}

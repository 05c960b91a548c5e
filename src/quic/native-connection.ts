import type { Connection } from '@matrixai/quic/native/types.js';

/** What is used of quiche's connection. */
export type NativeConnection = Pick<
  Connection,
  | 'close'
  | 'isClosed'
  | 'isDraining'
  | 'isEstablished'
  | 'isReadable'
  | 'isResumed'
  | 'isTimedOut'
  | 'localError'
  | 'onTimeout'
  | 'pathEventNext'
  | 'peerCertChain'
  | 'peerError'
  | 'peerStreamsLeftBidi'
  | 'readable'
  | 'recv'
  | 'send'
  | 'sendAckEliciting'
  | 'stats'
  | 'streamCapacity'
  | 'streamFinished'
  | 'streamRecv'
  | 'streamSend'
  | 'streamShutdown'
  | 'timeout'
>;

const nothing = (): null => null;
const no = (): boolean => false;
const yes = (): boolean => true;
const none = (): number => 0;
function ended(): never {
  throw new Error('the connection has ended');
}

/** Takes the place of quiche's connection once that was let go: there is nothing to read, to send or to wait for. */
export const ENDED_CONNECTION: NativeConnection = {
  close: nothing,
  isClosed: no,
  isDraining: yes,
  isEstablished: no,
  isReadable: no,
  isResumed: no,
  isTimedOut: no,
  localError: nothing,
  onTimeout: () => undefined,
  pathEventNext: ended,
  peerCertChain: nothing,
  peerError: nothing,
  peerStreamsLeftBidi: none,
  readable: ended,
  recv: ended,
  send: nothing,
  sendAckEliciting: ended,
  stats: ended,
  streamCapacity: ended,
  streamFinished: yes,
  streamRecv: nothing,
  streamSend: ended,
  streamShutdown: ended,
  timeout: nothing,
};

/**
 * What quiche holds for a connection is outside of V8's sight, and freed only when V8 collects what stands for it. So each
 * connection has a buffer of this size that nobody uses: then V8 knows that there is something to collect, and strangers
 * who come and go cannot pile up a gigabyte meanwhile. About half of what quiche really holds: collecting is a tenth of
 * the work of a handshake at this size, and a fifth at twice as much. What is not written to takes no memory.
 */
const BALLAST_BYTES = 32 * 1024;
/**
 * A peer can make quiche hold some 25 bytes for each that no stream carried (`judgeBudget`), and come back for more before
 * V8 sees a reason to collect. So a connection that ends weighs so much for each of them beyond what a handshake takes.
 */
const BALLAST_PER_BYTE = 16;
const ORDINARY_BYTES = 8 * 1024;
/** Whatever others forged in the peer's name counts too, so there is an end to it. */
const MAX_BALLAST_BYTES = 128 * 1024 * 1024;

/** Each lives as long as what it stands for. */
const ballast = new WeakMap<NativeConnection, Buffer>();

/** `overheadBytes`: what the peer has sent so far that no stream carried. */
export function carryBallast(native: NativeConnection, overheadBytes = 0): void {
  const unusual = Math.max(0, overheadBytes - ORDINARY_BYTES);
  if (ballast.has(native) && unusual === 0) return;
  const bytes = BALLAST_BYTES + Math.min(BALLAST_PER_BYTE * unusual, MAX_BALLAST_BYTES);
  try {
    ballast.set(native, Buffer.allocUnsafeSlow(bytes));
  } catch {
    // The system gives no more address space; then V8 collects for that reason.
  }
}

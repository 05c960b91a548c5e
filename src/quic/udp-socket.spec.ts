import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { UdpSocket } from './udp-socket.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const BUFFER_BYTES = 64 * 1024;

describe('a UDP socket', () => {
  let socket: UdpSocket;
  let peer: UdpSocket;
  let failed: string[];
  let wake: () => void;
  const received: string[] = [];

  beforeEach(async () => {
    failed = [];
    socket = await UdpSocket.bind(LOOPBACK, BUFFER_BYTES);
    peer = await UdpSocket.bind(LOOPBACK, BUFFER_BYTES);
    const unexpected = (error: unknown): void => {
      throw new Error('the socket failed', { cause: error });
    };
    socket.start({
      onDatagram: () => undefined,
      onSendFailed: (code) => {
        failed.push(code);
        wake();
      },
      onFailed: unexpected,
    });
    peer.start({
      onDatagram: (datagram) => {
        received.push(datagram.toString());
        wake();
      },
      onSendFailed: unexpected,
      onFailed: unexpected,
    });
  });

  afterEach(async () => {
    await peer.close();
  });

  const happening = (what: () => void): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
      what();
    });

  /** Failures that can be had anywhere; EPERM of a firewall and ENOBUFS come the same way. */
  it.each([
    ['more than a datagram holds', Buffer.alloc(70_000), '127.0.0.1', 'EMSGSIZE'],
    ['an address of another family', Buffer.from('x'), '::1', 'EINVAL'],
  ])('survives what the system does not send, and sends on: %s', async (_name, packet, host, code) => {
    await happening(() => {
      socket.send(packet, { host, port: 9 });
    });
    expect(failed).toEqual([code]);
    await happening(() => {
      socket.send(Buffer.from(code), peer.address);
    });
    expect(received.at(-1)).toBe(code);
    await socket.close();
  });

  it('throws nothing when it is asked to send after its end', async () => {
    await socket.close();
    socket.send(Buffer.from('late'), peer.address);
    expect(failed).toEqual(['ERR_SOCKET_DGRAM_NOT_RUNNING']);
  });
});

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TestCa } from '../ca/test-ca.js';
import { initialPacket, readRetry } from './initial-packet.js';
import { eventually, TestDoor } from './quic-door.js';
import { RawPeer } from './raw-peer.js';

/** A CRYPTO frame with the first byte of every ClientHello, and padding. */
const FIRST_BYTE_OF_HELLO = Buffer.concat([Buffer.from([0x06, 0, 1, 0x01]), Buffer.alloc(1150)]);

describe('the key of session tickets', () => {
  let ca: TestCa;
  let door: TestDoor;
  const peers: RawPeer[] = [];

  beforeEach(async () => {
    ca = await TestCa.create();
    door = await TestDoor.open(ca);
  });

  afterEach(async () => {
    for (const peer of peers.splice(0)) peer.close();
    await door.close();
  });

  async function peerOf(own: { chain: string; key: string }): Promise<RawPeer> {
    const peer = await RawPeer.open(door.port, { roots: ca.rootPem, own }, { trustDomain: ca.trustDomain });
    peers.push(peer);
    return peer;
  }

  /** All but the client's last flight. */
  async function nearlyDone(own: { chain: string; key: string }): Promise<RawPeer> {
    const peer = await peerOf(own);
    while (!peer.native.isEstablished()) {
      peer.flush();
      if (!(await peer.heard())) throw new Error('the door does not answer');
      peer.process();
    }
    return peer;
  }

  /** Goes through Retry and sends one byte of a ClientHello, in the peer's name; it has yet to take the Retry itself. */
  async function begunHalfway(own: { chain: string; key: string }): Promise<RawPeer> {
    const peer = await peerOf(own);
    const destinationId = Buffer.from(peer.native.destinationId());
    const first = { destinationId, sourceId: Buffer.from(peer.native.sourceId()), packetNumber: 0 };
    peer.sendDatagram(initialPacket({ ...first, token: Buffer.alloc(0) }, FIRST_BYTE_OF_HELLO));
    await peer.heard();
    const { sourceId, token } = readRetry(peer.received[0] ?? Buffer.alloc(0));
    peer.sendDatagram(initialPacket({ ...first, destinationId: sourceId, token }, FIRST_BYTE_OF_HELLO));
    await eventually(() => door.endpoint.handshakesInProgress === 2);
    return peer;
  }

  it.each([
    ['', () => Promise.resolve()],
    [
      ' and a new server certificate came between',
      async () => {
        door.endpoint.replaceTlsMaterial(await ca.server());
      },
    ],
  ])('opens no ticket that was sealed while half a ClientHello was there%s', async (_when, meanwhile) => {
    const device = await door.enrolled();
    const sealing = await nearlyDone(device);
    const resuming = await begunHalfway(device);
    await meanwhile();

    await sealing.runUntil(() => sealing.native.session() !== null);
    resuming.native.setSession(sealing.native.session() ?? new Uint8Array());
    // Makes the ClientHello, with the ticket in it; its first packet is of before the Retry.
    resuming.outgoing();
    resuming.process();
    await resuming.runUntil(() => resuming.native.isEstablished());
    resuming.flush();

    expect(resuming.native.isResumed()).toBe(false);
    await eventually(() => door.observer.count('admitted') === 2);
    expect(door.observer.count('refused')).toBe(0);
    expect(door.observer.count('failure')).toBe(0);
  });
});

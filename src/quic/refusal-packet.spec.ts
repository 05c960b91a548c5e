import { describe, expect, it } from '@jest/globals';
import quiche from '@matrixai/quic/native/quiche.js';
import { refusalPacket, TRANSPORT_ERROR } from './refusal-packet.js';
import { statelessReset, statelessResetToken, tokenAsInteger } from './stateless-reset.js';
import { newKeyPair } from '../random/key-pair.js';

const local = { host: '127.0.0.1', port: 1 };
const remote = { host: '127.0.0.1', port: 2 };

describe('refusalPacket', () => {
  it.each(Object.entries(TRANSPORT_ERROR))('tells a real client %s', (_name, code) => {
    const config = new quiche.Config();
    config.verifyPeer(false);
    config.setApplicationProtos(['test']);
    const client = quiche.Connection.connect(null, Buffer.alloc(20, 9), local, remote, config);
    const out = Buffer.alloc(1350);
    const [length] = client.send(out)!;
    const header = quiche.Header.fromSlice(out.subarray(0, length), 20);
    const packet = refusalPacket(header.dcid, header.scid, code);
    expect(packet.length).toBeLessThan(150);
    client.recv(packet, { from: remote, to: local });
    expect(client.peerError()).toMatchObject({ isApp: false, errorCode: code });
  });

  it('takes only codes of one byte', () => {
    expect(() => refusalPacket(Buffer.alloc(8), Buffer.alloc(8), 64)).toThrow(RangeError);
  });
});

describe('statelessReset', () => {
  const key = newKeyPair('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' });
  const id = Buffer.alloc(20, 3);

  it('ends with the token of the connection id and looks like a short header', () => {
    const packet = statelessReset(key, id, 60)!;
    expect(packet).toHaveLength(43);
    expect(packet[0]! & 0xc0).toBe(0x40);
    expect(packet.subarray(-16)).toEqual(statelessResetToken(key, id));
  });

  it('is always shorter than what it answers, and not sent where it would be too short', () => {
    expect(statelessReset(key, id, 30)).toHaveLength(29);
    expect(statelessReset(key, id, 22)).toHaveLength(21);
    expect(statelessReset(key, id, 21)).toBeUndefined();
  });

  it('has another token for another id or key', () => {
    const token = statelessResetToken(key, id);
    expect(statelessResetToken(key, Buffer.alloc(20, 4))).not.toEqual(token);
    expect(statelessResetToken(Buffer.alloc(32), id)).not.toEqual(token);
    expect(tokenAsInteger(Buffer.from('00'.repeat(14) + '0102', 'hex'))).toBe(258n);
  });
});

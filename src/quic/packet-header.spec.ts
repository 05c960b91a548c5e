import { describe, expect, it } from '@jest/globals';
import quiche from '@matrixai/quic/native/quiche.js';
import fc from 'fast-check';
import { routePacket, versionNegotiationPacket, type PacketRoute } from './packet-header.js';

const known = Buffer.alloc(20, 0xaa);
const route = (datagram: Buffer): PacketRoute => routePacket(datagram, (id) => id.equals(known));

interface LongHeader {
  first?: number;
  version?: number;
  destination?: Buffer;
  source?: Buffer;
  token?: Buffer;
  size?: number;
}

function longHeader(header: LongHeader): Buffer {
  const { first = 0xc0, version = 1, destination = Buffer.alloc(8, 1), source = Buffer.alloc(5, 2) } = header;
  const { token = Buffer.alloc(0), size = 1200 } = header;
  const fixed = Buffer.alloc(5);
  fixed.writeUInt8(first);
  fixed.writeUInt32BE(version, 1);
  const packet = Buffer.concat([
    fixed,
    Buffer.from([destination.length]),
    destination,
    Buffer.from([source.length]),
    source,
    Buffer.from([0x40, token.length]),
    token,
  ]);
  return Buffer.concat([packet, Buffer.alloc(Math.max(0, size - packet.length))]);
}

describe('routePacket', () => {
  it.each([
    ['nothing', Buffer.alloc(0), 'empty'],
    ['the 7 bytes that end other servers', Buffer.from('d0000000010000', 'hex'), 'zero_rtt'],
    ['0-RTT for a known connection', longHeader({ first: 0xd0, destination: known }), 'zero_rtt'],
    ['a Retry', longHeader({ first: 0xf0 }), 'retry_or_negotiation'],
    ['a Version Negotiation', longHeader({ version: 0 }), 'retry_or_negotiation'],
    ['an Initial of 1199 bytes', longHeader({ size: 1199 }), 'small_initial'],
    ['an Initial to 7 bytes of id', longHeader({ destination: Buffer.alloc(7) }), 'short_destination'],
    ['ids of 21 bytes in version 1', longHeader({ destination: Buffer.alloc(21) }), 'id_too_long'],
    ['a source id of 21 bytes in version 1', longHeader({ source: Buffer.alloc(21) }), 'id_too_long'],
    ['a Handshake packet of nobody', longHeader({ first: 0xe0 }), 'unknown_connection'],
    ['an unknown version in a small datagram', longHeader({ version: 9, size: 100 }), 'unknown_version'],
    ['a cleared fixed bit', longHeader({ first: 0x80 }), 'fixed_bit'],
    ['a header cut in its ids', longHeader({}).subarray(0, 9), 'truncated'],
    [
      'a token longer than the datagram',
      longHeader({ token: Buffer.alloc(63), size: 0 }).subarray(0, 40),
      'small_initial',
    ],
    ['a short header that is too short', Buffer.alloc(21, 0x40), 'truncated'],
    ['a short header without the fixed bit', Buffer.alloc(40, 0x3f), 'fixed_bit'],
  ])('drops %s', (_name, datagram, reason) => {
    expect(route(datagram)).toEqual({ to: 'nowhere', reason });
  });

  it('drops an Initial whose token does not end within the datagram', () => {
    const datagram = longHeader({});
    datagram.writeUInt16BE(0x4000 | 1300, 1 + 4 + 1 + 8 + 1 + 5);
    expect(route(datagram)).toEqual({ to: 'nowhere', reason: 'truncated' });
  });

  it('routes packets of known connections', () => {
    const short = Buffer.concat([Buffer.from([0x40]), known, Buffer.alloc(20)]);
    expect(route(short)).toEqual({ to: 'connection', destinationId: known });
    expect(route(longHeader({ destination: known, size: 60 }))).toEqual({
      to: 'connection',
      destinationId: known,
    });
    expect(route(longHeader({ first: 0xe0, destination: known, size: 60 }))).toMatchObject({
      to: 'connection',
    });
  });

  it('finds the ids and the token of a first Initial', () => {
    const token = Buffer.from('token');
    expect(route(longHeader({ token }))).toEqual({
      to: 'new_connection',
      destinationId: Buffer.alloc(8, 1),
      sourceId: Buffer.alloc(5, 2),
      token,
    });
  });

  it('offers version negotiation to a large datagram of another version, ids of any length', () => {
    const datagram = longHeader({
      version: 0x1a2a3a4a,
      destination: Buffer.alloc(30, 3),
      source: Buffer.alloc(0),
    });
    const answer = route(datagram);
    expect(answer).toEqual({
      to: 'version_negotiation',
      destinationId: Buffer.alloc(30, 3),
      sourceId: Buffer.alloc(0),
    });
  });

  it('answers unknown short headers with a reset', () => {
    const id = Buffer.alloc(20, 5);
    expect(route(Buffer.concat([Buffer.from([0x40]), id, Buffer.alloc(20)]))).toEqual({
      to: 'stateless_reset',
      destinationId: id,
    });
  });

  it('never throws, and agrees with quiche on every Initial that it takes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 60 }), fc.boolean(), (bytes, isLarge) => {
        const datagram = Buffer.concat([Buffer.from(bytes), Buffer.alloc(isLarge ? 1300 : 0)]);
        const answer = route(datagram);
        if (answer.to !== 'new_connection') return;
        const header = quiche.Header.fromSlice(datagram, 20);
        expect(Buffer.from(header.dcid)).toEqual(answer.destinationId);
        expect(Buffer.from(header.scid)).toEqual(answer.sourceId);
        expect(Buffer.from(header.token ?? [])).toEqual(answer.token);
      }),
    );
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 8, maxLength: 20 }),
        fc.uint8Array({ maxLength: 20 }),
        fc.uint8Array({ maxLength: 255 }),
        (destination, source, token) => {
          const ids = { destination: Buffer.from(destination), source: Buffer.from(source) };
          const datagram = longHeader({ ...ids, token: Buffer.from(token) });
          const header = quiche.Header.fromSlice(datagram, 20);
          expect(route(datagram)).toEqual({
            to: 'new_connection',
            destinationId: Buffer.from(header.dcid),
            sourceId: Buffer.from(header.scid),
            token: Buffer.from(header.token ?? []),
          });
        },
      ),
    );
  });
});

describe('versionNegotiationPacket', () => {
  it('swaps the ids and offers version 1 and a reserved one', () => {
    const packet = versionNegotiationPacket(Buffer.alloc(8, 1), Buffer.alloc(5, 2), 0x5c);
    const header = quiche.Header.fromSlice(packet, 20);
    expect(header.ty).toBe(quiche.Type.VersionNegotiation);
    expect(Buffer.from(header.dcid)).toEqual(Buffer.alloc(5, 2));
    expect(Buffer.from(header.scid)).toEqual(Buffer.alloc(8, 1));
    expect(packet.subarray(-8).toString('hex')).toBe('000000015a5a5a5a');
  });
});

import { describe, expect, it } from '@jest/globals';
import quiche from '@matrixai/quic/native/quiche.js';
import fc from 'fast-check';
import { ConnectionBounds, DEFAULT_CONNECTION_LIMITS } from './connection-bounds.js';
import { DatagramRouter, keyOf, type DatagramAction } from './datagram-router.js';

const NOW = 1_800_000_000_000;
const client = { host: '192.0.2.1', port: 4433 };
const local = { host: '192.0.2.9', port: 7444 };
const keys = { retry: Buffer.alloc(32, 1), statelessReset: Buffer.alloc(32, 2) };
const known = Buffer.alloc(20, 0xaa);

interface World {
  readonly bounds: ConnectionBounds;
  readonly router: DatagramRouter;
}

function world(): World {
  const bounds = new ConnectionBounds({ ...DEFAULT_CONNECTION_LIMITS, maxHandshakes: 1 });
  const router = new DatagramRouter({
    bounds,
    keys,
    retryTokenLifetimeMs: 10_000,
    isKnown: (key) => key === keyOf(known),
  });
  return { bounds, router };
}

/** A real client's datagrams, and what it makes of those that come. */
function realClient(): { outgoing(): Buffer; take(packet: Buffer): void } {
  const config = new quiche.Config();
  config.verifyPeer(false);
  config.setApplicationProtos(['test']);
  const native = quiche.Connection.connect('control-plane.test', Buffer.alloc(20, 9), client, local, config);
  const out = Buffer.alloc(1350);
  return {
    outgoing: () => {
      const sent = native.send(out);
      if (sent === null) throw new Error('the client has nothing to send');
      return Buffer.from(out.subarray(0, sent[0]));
    },
    take: (packet) => {
      native.recv(packet, { from: local, to: client });
    },
  };
}

function answered(action: DatagramAction): Extract<DatagramAction, { do: 'answer' }> {
  if (action.do !== 'answer') throw new Error(`not answered: ${action.do}`);
  return action;
}

/** The Initial with which a real client comes back from its Retry. */
function validatedInitial({ router }: World, now = NOW): Buffer {
  const real = realClient();
  real.take(answered(router.route(real.outgoing(), client, now, true)).packet!);
  return real.outgoing();
}

describe('DatagramRouter', () => {
  it('sends a new client round by Retry, and accepts it when it comes back', () => {
    const own = world();
    const real = realClient();
    const first = real.outgoing();
    const retry = answered(own.router.route(first, client, NOW, true));
    expect(retry.event).toBeUndefined();
    expect(own.bounds.handshakesInProgress).toBe(0);
    real.take(retry.packet!);
    const again = own.router.route(real.outgoing(), client, NOW + 9_000, true);
    expect(again).toMatchObject({ do: 'accept', originalDestinationId: first.subarray(6, 6 + first[5]!) });
  });

  it('turns a token away that came from elsewhere, or too late', () => {
    const own = world();
    const initial = validatedInitial(own);
    const elsewhere = { ...client, host: '192.0.2.2' };
    expect(own.router.route(initial, elsewhere, NOW, true)).toMatchObject({
      event: { event: 'datagram_dropped', reason: 'token_forged' },
    });
    expect(own.router.route(initial, client, NOW + 11_000, true)).toMatchObject({
      event: { reason: 'token_expired' },
    });
    expect(own.router.route(initial, { ...client, port: 5 }, NOW, true).do).toBe('accept');
  });

  it('turns Initials away at a full bound and while it does not accept, before it looks at tokens', () => {
    const own = world();
    const initial = validatedInitial(own);
    expect(own.router.route(initial, client, NOW, false)).toMatchObject({
      event: { event: 'handshake_turned_away', reason: 'going_away', remote: '192.0.2.1:4433' },
    });
    own.bounds.reserveHandshake('192.0.2.77', () => false);
    const full = answered(own.router.route(initial, client, NOW, true));
    expect(full.event).toMatchObject({ reason: 'handshakes_full' });
    const real = realClient();
    const refused = answered(own.router.route(real.outgoing(), client, NOW, true));
    expect(refused.packet!.length).toBeLessThan(150);
  });

  it('knows its connections, and resets those that it has lost', () => {
    const { router } = world();
    const short = Buffer.concat([Buffer.from([0x40]), known, Buffer.alloc(30)]);
    expect(router.route(short, client, NOW, true)).toEqual({ do: 'deliver', key: keyOf(known) });
    const lost = Buffer.concat([Buffer.from([0x40]), Buffer.alloc(20, 0xbb), Buffer.alloc(30)]);
    const reset = answered(router.route(lost, client, NOW, true));
    expect(reset.event).toEqual({ event: 'datagram_dropped', reason: 'unknown_connection' });
    expect(reset.packet!.length).toBeLessThan(lost.length);
  });

  it('serves no address with an IPv6 zone', () => {
    expect(
      world().router.route(validatedInitial(world()), { host: 'fe80::1%eth0', port: 1 }, NOW, true),
    ).toEqual({
      do: 'answer',
      packet: undefined,
      event: { event: 'datagram_dropped', reason: 'unusable_address' },
    });
  });

  it('never throws, and answers with no more bytes than came, whatever comes', () => {
    const own = world();
    const initial = validatedInitial(own);
    const mutated = fc
      .array(fc.tuple(fc.nat(initial.length - 1), fc.nat(255)), { maxLength: 8 })
      .map((changes) => {
        const copy = Buffer.from(initial);
        for (const [at, value] of changes) copy[at] = value;
        return copy;
      });
    const noise = fc.uint8Array({ maxLength: 1_400 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(noise, mutated), (datagram) => {
        const action = own.router.route(datagram, client, NOW, true);
        if (action.do !== 'answer' || action.packet === undefined) return;
        expect(action.packet.length).toBeLessThanOrEqual(datagram.length);
      }),
      { numRuns: 500 },
    );
  });
});

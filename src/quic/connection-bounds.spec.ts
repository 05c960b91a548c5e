import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ConnectionBounds, DEFAULT_CONNECTION_LIMITS, type Slot } from './connection-bounds.js';

const limits = { maxHandshakes: 4, maxHandshakesPerSource: 2, maxConnections: 3, maxConnectionsPerDevice: 2 };

const stays = (): boolean => false;

const taken = (reservation: ReturnType<ConnectionBounds['reserveConnection']>): Slot => {
  if (!reservation.ok) throw new Error(reservation.reason);
  return reservation.slot;
};

describe('ConnectionBounds', () => {
  it('has the bounds of the design', () => {
    expect(DEFAULT_CONNECTION_LIMITS).toEqual({
      maxHandshakes: 64,
      maxHandshakesPerSource: 8,
      maxConnections: 256,
      maxConnectionsPerDevice: 4,
    });
  });

  it('bounds handshakes by source, a /64 being one', () => {
    const bounds = new ConnectionBounds(limits);
    taken(bounds.reserveHandshake('2001:db8::1', stays));
    taken(bounds.reserveHandshake('2001:db8::2', stays));
    expect(bounds.reserveHandshake('2001:db8::ffff:1', stays)).toEqual({
      ok: false,
      reason: 'handshakes_of_source_full',
    });
    expect(bounds.handshakeRefusal('2001:db8:0:1::1')).toBeUndefined();
    expect(bounds.handshakeRefusal('192.0.2.1')).toBeUndefined();
  });

  it('bounds handshakes of all sources', () => {
    const bounds = new ConnectionBounds(limits);
    for (let source = 1; source <= 4; source += 1) taken(bounds.reserveHandshake(`192.0.2.${source}`, stays));
    expect(bounds.reserveHandshake('192.0.2.5', stays)).toEqual({ ok: false, reason: 'handshakes_full' });
    expect(bounds.handshakesInProgress).toBe(4);
  });

  it('has the source that holds most leave its oldest handshake to one that holds fewer', () => {
    const bounds = new ConnectionBounds(limits);
    const left: string[] = [];
    const come = (host: string, name: string): ReturnType<ConnectionBounds['reserveHandshake']> => {
      const reservation = bounds.reserveHandshake(host, () => {
        if (!reservation.ok || name === 'b1') return false;
        left.push(name);
        reservation.slot.release();
        return true;
      });
      return reservation;
    };
    for (const name of ['a1', 'a2']) taken(come('192.0.2.1', name));
    for (const name of ['b1', 'b2']) taken(come('192.0.2.2', name));
    expect(bounds.handshakeRefusal('192.0.2.3')).toBeUndefined();
    taken(come('192.0.2.3', 'c1'));
    expect(left).toEqual(['a1']);
    // The oldest of the fullest will not go (its peer has finished); the next one does.
    taken(come('192.0.2.4', 'd1'));
    expect(left).toEqual(['a1', 'b2']);
    // Now each has one: nobody holds more than the newcomer would.
    expect(come('192.0.2.5', 'e1')).toEqual({ ok: false, reason: 'handshakes_full' });
    expect(come('192.0.2.3', 'c2')).toEqual({ ok: false, reason: 'handshakes_full' });
    expect(bounds.handshakesInProgress).toBe(4);
  });

  it('has what has stalled leave its place to a source that holds none, when as many addresses as places stall', () => {
    let now = 0;
    const bounds = new ConnectionBounds(limits, { monotonic: () => now, stalledAfterMs: 2_500 });
    const left: string[] = [];
    const come = (host: string, finished = false): ReturnType<ConnectionBounds['reserveHandshake']> => {
      const reservation = bounds.reserveHandshake(host, () => {
        if (!reservation.ok || finished) return false;
        left.push(host);
        reservation.slot.release();
        return true;
      });
      return reservation;
    };
    for (const [index, host] of ['a', 'b', 'c', 'd'].entries()) {
      now = index;
      taken(come(host, host === 'a'));
    }
    now = 2_499;
    expect(come('e')).toEqual({ ok: false, reason: 'handshakes_full' });
    now = 2_501;
    // The oldest has finished its part and stays; who holds a place gets no second one in this way.
    expect(come('d')).toEqual({ ok: false, reason: 'handshakes_full' });
    taken(come('e'));
    expect(left).toEqual(['b']);
    expect(come('f')).toEqual({ ok: false, reason: 'handshakes_full' });
    expect(bounds.handshakesInProgress).toBe(4);
  });

  it('turns handshakes away when every connection is taken', () => {
    const bounds = new ConnectionBounds(limits);
    const [first] = ['a', 'a', 'b'].map((device) => taken(bounds.reserveConnection(device)));
    expect(bounds.handshakeRefusal('192.0.2.1')).toBe('connections_full');
    expect(bounds.reserveConnection('c')).toEqual({ ok: false, reason: 'connections_full' });
    first!.release();
    expect(bounds.handshakeRefusal('192.0.2.1')).toBeUndefined();
  });

  it('bounds connections by device', () => {
    const bounds = new ConnectionBounds(limits);
    taken(bounds.reserveConnection('a'));
    taken(bounds.reserveConnection('a'));
    expect(bounds.reserveConnection('a')).toEqual({ ok: false, reason: 'connections_of_device_full' });
  });

  it('takes a slot back once, however often it is released', () => {
    const bounds = new ConnectionBounds(limits);
    const first = taken(bounds.reserveConnection('a'));
    taken(bounds.reserveConnection('a'));
    first.release();
    first.release();
    expect(bounds.admittedConnections).toBe(1);
  });

  it('keeps those who are in when the limit falls', () => {
    const bounds = new ConnectionBounds(limits);
    const slot = taken(bounds.reserveConnection('a'));
    taken(bounds.reserveConnection('b'));
    bounds.limitConnections(1);
    slot.release();
    expect(bounds.admittedConnections).toBe(1);
    expect(bounds.reserveConnection('c').ok).toBe(false);
  });

  it('never lets more in than it may, nor loses a place, in any order of coming and going', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.boolean(), fc.nat(10)), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, (sequence) => {
        const bounds = new ConnectionBounds(limits);
        const held: { device: string; slot: Slot }[] = [];
        for (const [device, comes, which] of sequence) {
          if (comes) {
            const ofDevice = held.filter((connection) => connection.device === device).length;
            const reservation = bounds.reserveConnection(device);
            expect(reservation.ok).toBe(held.length < 3 && ofDevice < 2);
            if (reservation.ok) held.push({ device, slot: reservation.slot });
          } else if (held.length > 0) {
            const [gone] = held.splice(which % held.length, 1);
            gone!.slot.release();
          }
          expect(bounds.admittedConnections).toBe(held.length);
        }
      }),
    );
  });
});

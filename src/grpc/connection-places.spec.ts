import { describe, expect, it } from '@jest/globals';
import { ConnectionPlaces, type Proof } from './connection-places.js';

let connections = 0;

class Connection {
  /** So that two of them are never equal. */
  readonly number = (connections += 1);

  constructor(readonly from: string) {}
}

let proofs = 0;
/** Of a device of its own. */
const deviceProof = (): Proof => ({ kind: 'device', id: `device-${(proofs += 1)}` });

class Door {
  readonly places: ConnectionPlaces<Connection>;

  constructor(maxConnections: number, maxConnectionsPerAddress: number) {
    this.places = new ConnectionPlaces({ maxConnections, maxConnectionsPerAddress });
  }

  /** A connection that was let in. */
  open(from: string): Connection {
    const connection = new Connection(from);
    expect(this.places.admit(connection, from).admitted).toBe(true);
    return connection;
  }

  opened(count: number, from: (index: number) => string): Connection[] {
    return Array.from({ length: count }, (_, index) => this.open(from(index)));
  }

  /** What a newcomer meets. */
  admit(from: string): ReturnType<ConnectionPlaces<Connection>['admit']> {
    return this.places.admit(new Connection(from), from);
  }
}

describe('ConnectionPlaces', () => {
  it('gives the place of the oldest stranger of an address to a newcomer from there', () => {
    const door = new Door(10, 2);
    const [first] = door.opened(2, () => 'a');
    expect(door.admit('a')).toEqual({ admitted: true, evicted: { connection: first, bound: 'address' } });
    expect(door.admit('b')).toEqual({ admitted: true });
    expect(door.places.open).toBe(3);
  });

  it('refuses at the bound of an address where all have shown themselves', () => {
    const door = new Door(10, 2);
    for (const connection of door.opened(2, () => 'a')) door.places.prove(connection, { kind: 'operator' });
    expect(door.admit('a')).toEqual({ admitted: false, bound: 'address' });
    expect(door.places.open).toBe(2);
  });

  it('lets a newcomer in where 16 addresses hold every place, and takes it from the one that has most', () => {
    const door = new Door(1024, 64);
    const alone = door.open('honest');
    const flood = door.opened(1023, (index) => `flood-${index % 16}`);
    const admission = door.admit('operator');
    expect(admission).toMatchObject({ admitted: true, evicted: { bound: 'total' } });
    const evicted = admission.admitted ? admission.evicted?.connection : undefined;
    expect(evicted).toBe(flood[0]);
    for (let i = 0; i < 900; i++) door.admit(`late-${i}`);
    // The one connection of an honest address outlives all that.
    door.places.prove(alone, deviceProof());
    expect(door.places.open).toBe(1024);
  });

  it('refuses when every place is an operator’s', () => {
    const door = new Door(3, 3);
    for (const connection of door.opened(3, (index) => `o${index}`))
      door.places.prove(connection, { kind: 'operator' });
    expect(door.admit('d')).toEqual({ admitted: false, bound: 'total' });
  });

  it('keeps a reserve that devices cannot fill, so that an operator always finds a place', () => {
    const door = new Door(32, 32);
    const devices = door.opened(32, (index) => `device-${index}`);
    for (const device of devices) door.places.prove(device, deviceProof());
    const admission = door.admit('operator');
    expect(admission).toMatchObject({ admitted: true, evicted: { connection: devices[30] } });
  });

  it('keeps such a reserve of each address too', () => {
    const door = new Door(1024, 32);
    const devices = door.opened(32, () => 'fleet');
    for (const device of devices) door.places.prove(device, deviceProof());
    const evicted = { connection: devices[30], bound: 'address' };
    expect(door.admit('fleet')).toEqual({ admitted: true, evicted });
  });

  it('keeps a few places of one device, and no more', () => {
    const door = new Door(1024, 8);
    const bad = { kind: 'device', id: 'bad' } as const;
    const held = door.opened(8, () => 'fleet');
    for (const connection of held) door.places.prove(connection, bad);
    for (const connection of held) door.places.prove(connection, bad);
    const newcomers = [4, 5, 6, 7].map((index) => ({ admission: door.admit('fleet'), loses: held[index] }));
    for (const { admission, loses } of newcomers) {
      expect(admission).toEqual({ admitted: true, evicted: { connection: loses, bound: 'address' } });
    }
    door.places.leave(held[0]!);
    const again = door.open('elsewhere');
    door.places.prove(again, bad);
    expect(door.places.admit(new Connection('elsewhere'), 'elsewhere').admitted).toBe(true);
  });

  it('counts a device that turns out to be an operator once', () => {
    const door = new Door(32, 32);
    const both = door.open('a');
    door.places.prove(both, deviceProof());
    door.places.prove(both, { kind: 'operator' });
    door.places.prove(both, deviceProof());
    const devices = door.opened(31, (index) => `device-${index}`);
    for (const device of devices) door.places.prove(device, deviceProof());
    expect(door.admit('b')).toMatchObject({ evicted: { connection: devices[30] } });
  });

  it('gives every place back once, whoever held it', () => {
    const door = new Door(32, 32);
    for (let round = 0; round < 8; round++) {
      const all = door.opened(32, (index) => `s${index % 5}`);
      all.slice(0, 30).forEach((connection, index) => {
        door.places.prove(connection, index % 2 === 0 ? deviceProof() : { kind: 'operator' });
      });
      for (const connection of [...all, ...all]) door.places.leave(connection);
      expect(door.places.open).toBe(0);
    }
  });
});

import { beforeEach, describe, expect, it } from '@jest/globals';
import { DeviceConnections, type ListedConnection } from './device-connections.js';
import type { CloseReason } from './node-connections.js';

class FakeConnection implements ListedConnection {
  ended: CloseReason | undefined;
  endsAt: number | undefined;
  leave: () => void = () => undefined;

  constructor(
    readonly fingerprint: string,
    readonly isAdmitted = true,
  ) {}

  /** As the real one: it takes itself out of the list while that is being walked. */
  end(reason: CloseReason): void {
    this.ended = reason;
    this.leave();
  }

  isTrusted = true;

  endIfUntrusted(): boolean {
    if (!this.isTrusted) this.end('revoked');
    return !this.isTrusted;
  }

  endBy(at: number): void {
    this.endsAt = at;
  }
}

describe('DeviceConnections', () => {
  let devices: DeviceConnections;

  const enter = (deviceId: string, connection: FakeConnection): FakeConnection => {
    connection.leave = devices.enter(deviceId, connection);
    return connection;
  };

  beforeEach(() => {
    devices = new DeviceConnections();
  });

  it('ends what is not trusted any more, also what is still being decided', () => {
    const trusted = enter('a', new FakeConnection('one'));
    const others = [
      enter('a', new FakeConnection('two')),
      enter('a', new FakeConnection('three', false)),
      enter('b', new FakeConnection('four')),
    ];
    for (const connection of others) connection.isTrusted = false;
    expect(devices.closeUntrusted()).toBe(3);
    expect(others.map(({ ended }) => ended)).toEqual(['revoked', 'revoked', 'revoked']);
    expect(trusted.ended).toBeUndefined();
  });

  it('closes all of one device, those still being decided included, and no others', () => {
    const admitted = enter('A', new FakeConnection('a'));
    const deciding = enter('A', new FakeConnection('a', false));
    const other = enter('B', new FakeConnection('b'));
    expect(devices.closeDevice('A', 'revoked')).toBe(2);
    expect([admitted.ended, deciding.ended, other.ended]).toEqual(['revoked', 'revoked', undefined]);
    expect(devices.closeDevice('A', 'revoked')).toBe(0);
    expect(devices.connectedDevices).toEqual(['B']);
  });

  it('closes those whose certificate is not listed, also while they are being decided', () => {
    const listed = enter('A', new FakeConnection('a'));
    const gone = enter('A', new FakeConnection('b'));
    const deciding = enter('A', new FakeConnection('c', false));
    const other = enter('B', new FakeConnection('b'));
    expect(devices.closeOthers('A', ['a'], 'superseded')).toBe(2);
    const ends = [listed.ended, gone.ended, deciding.ended, other.ended];
    expect(ends).toEqual([undefined, 'superseded', 'superseded', undefined]);
  });

  it('counts admitted connections only', () => {
    enter('A', new FakeConnection('a', false));
    expect(devices.openConnections('A')).toBe(0);
    const admitted = enter('A', new FakeConnection('a'));
    expect(devices.openConnections('A')).toBe(1);
    admitted.leave();
    admitted.leave();
    expect(devices.openConnections('A')).toBe(0);
    expect(devices.connectedDevices).toEqual([]);
  });

  it('does not lose a new connection when an old one leaves late', () => {
    const old = enter('A', new FakeConnection('a'));
    old.leave();
    const next = enter('A', new FakeConnection('a'));
    old.leave();
    expect(devices.closeDevice('A', 'revoked')).toBe(1);
    expect(next.ended).toBe('revoked');
  });

  it('ends connections with another certificate at the end of the overlap', () => {
    const old = enter('A', new FakeConnection('old'));
    const current = enter('A', new FakeConnection('new'));
    devices.supersedeOthers('A', 'new', 60_000);
    expect(old.endsAt).toBe(60_000);
    expect(current.endsAt).toBeUndefined();
    expect(devices.hasAdmitted('A', 'new')).toBe(true);
    expect(devices.hasAdmitted('A', 'other')).toBe(false);
  });
});

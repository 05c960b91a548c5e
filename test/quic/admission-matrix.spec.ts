import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import quiche from '@matrixai/quic/native/quiche.js';
import type { Config } from '@matrixai/quic/native/types.js';
import { requestFrame } from '../../src/quic/node-rpc-message.js';
import type { TlsIdentity } from '../../src/quic/quiche-config.js';
import type { HostileCase } from '../ca/hostile-certificates.js';
import { TestCa } from '../ca/test-ca.js';
import { certificateOf, TestDoor } from './quic-door.js';
import { RawPeer } from './raw-peer.js';

type Own = TlsIdentity['own'];

/** What a client comes with, and how it has to end: the alert of TLS, our close code 1, or an answer. */
interface Row {
  readonly name: string;
  readonly make: (ca: TestCa, door: TestDoor) => Promise<Own>;
  readonly ends: 'answered' | 'not admitted' | readonly number[];
}

const ALERT = 256;
const ALERTS = {
  unsupported: ALERT + 43,
  expired: ALERT + 45,
  unknownCa: ALERT + 48,
  decrypt: ALERT + 51,
  required: ALERT + 116,
};
const NOT_ADMITTED = 1;
const HOUR = 3_600_000;

const hostile = (name: HostileCase) => async (ca: TestCa, door: TestDoor) => {
  const device = await door.enrolled();
  return ca.hostile(name, device.deviceId);
};

/** DESIGN §6, every condition by itself. */
const ROWS: readonly Row[] = [
  { name: 'no certificate', make: () => Promise.resolve(undefined), ends: [ALERTS.required] },
  { name: 'a foreign CA', make: hostile('foreign_ca'), ends: [ALERTS.unknownCa, ALERTS.decrypt] },
  { name: 'an expired one', make: hostile('expired'), ends: [ALERTS.expired] },
  { name: 'one that is not yet valid', make: hostile('not_yet_valid'), ends: [ALERTS.expired] },
  { name: 'serverAuth only', make: hostile('server_auth_only'), ends: [ALERTS.unsupported] },
  { name: 'no EKU', make: hostile('no_eku'), ends: 'not admitted' },
  { name: 'both EKUs', make: hostile('both_ekus'), ends: 'not admitted' },
  { name: 'no SAN', make: hostile('no_san'), ends: 'not admitted' },
  { name: 'two SANs', make: hostile('two_uris'), ends: 'not admitted' },
  { name: 'another trust domain', make: hostile('other_trust_domain'), ends: 'not admitted' },
  { name: "an operator's", make: hostile('operator_uri'), ends: 'not admitted' },
  { name: 'an unknown device', make: (ca) => ca.device(), ends: 'not admitted' },
  {
    name: 'a revoked device',
    make: async (_ca, door) => {
      const device = await door.enrolled();
      door.registry.identities.delete(device.deviceId);
      return device;
    },
    ends: 'not admitted',
  },
  {
    name: 'a suspended device',
    make: (_ca, door) => door.enrolled({ suspendedAt: 1 }),
    ends: 'not admitted',
  },
  {
    name: 'a superseded one in the overlap',
    make: (ca, door) => superseded(ca, door, 1_000),
    ends: 'answered',
  },
  { name: 'a superseded one after it', make: (ca, door) => superseded(ca, door, HOUR), ends: 'not admitted' },
  { name: 'the right one', make: (_ca, door) => door.enrolled(), ends: 'answered' },
];

/** The previous certificate of a device whose newest was first admitted so long ago. */
async function superseded(ca: TestCa, door: TestDoor, agoMs: number): Promise<Own> {
  const old = await ca.device();
  const newest = await ca.device({ deviceId: old.deviceId });
  const current = certificateOf(newest, { firstAdmittedAt: Date.now() - agoMs });
  door.registry.enrol(newest, { current, previous: certificateOf(old) });
  return old;
}

describe('the admission matrix', () => {
  let ca: TestCa;
  let door: TestDoor;
  /** A session ticket that a device which is in was given. */
  let ticket: Uint8Array;

  beforeAll(async () => {
    ca = await TestCa.create();
    door = await TestDoor.open(ca);
    ticket = await ticketOf(await door.enrolled());
  });

  afterAll(async () => {
    expect(door.observer.count('failure')).toBe(0);
    await door.close();
  });

  const peerOf = (own: Own, session?: Uint8Array, at = door): Promise<RawPeer> =>
    RawPeer.open(
      at.port,
      { roots: ca.rootPem, own },
      { trustDomain: ca.trustDomain, ...(session === undefined ? {} : { session }) },
    );

  async function ticketOf(own: Own, at = door): Promise<Uint8Array> {
    const peer = await peerOf(own, undefined, at);
    await peer.runUntil(() => peer.native.session() !== null);
    const session = peer.native.session();
    if (session === null) throw new Error('the door gave no ticket');
    peer.close();
    return session;
  }

  /** Sends a request as early as the stack lets it, and goes on until it is answered or over. */
  async function outcome(peer: RawPeer): Promise<'answered' | number | undefined> {
    const { native } = peer;
    let isAsked = false;
    await peer.runUntil(() => {
      isAsked ||= tryToAsk(peer);
      return (isAsked && native.isReadable()) || native.peerError() !== null || native.isClosed();
    });
    return native.isReadable() ? 'answered' : native.peerError()?.errorCode;
  }

  function tryToAsk(peer: RawPeer): boolean {
    const { native } = peer;
    if (!native.isEstablished() && !native.isInEarlyData()) return false;
    native.streamSend(0, requestFrame('node.health', {}), true);
    peer.flush();
    return true;
  }

  describe.each([
    ['for the first time', false],
    ['with a ticket', true],
  ])('%s', (_when, withTicket) => {
    it.each(ROWS.map((row) => [row.name, row] as const))('%s', async (_name, row) => {
      const own = await row.make(ca, door);
      const before = door.handler.calls;
      const peer = await peerOf(own, withTicket ? ticket : undefined);
      expect(peer.native.isInEarlyData()).toBe(false);
      const ended = await outcome(peer);
      if (row.ends === 'answered') expect(ended).toBe('answered');
      else if (row.ends === 'not admitted') expect(ended).toBe(NOT_ADMITTED);
      else expect(row.ends).toContain(ended);
      expect(peer.native.isResumed()).toBe(false);
      expect(door.handler.calls - before).toBe(row.ends === 'answered' ? 1 : 0);
      peer.close();
    });
  });

  it('refuses a session that could be resumed, though its certificate would be let in', async () => {
    // The first wall taken away: all connections of this door have one ticket key.
    const rotation = jest.spyOn(quiche.Config.prototype as Config, 'setTicketKey').mockReturnValue();
    const open = await TestDoor.open(ca);
    try {
      const device = await open.enrolled();
      const session = await ticketOf(device, open);
      const peer = await peerOf(device, session, open);
      expect(await outcome(peer)).toBe(NOT_ADMITTED);
      expect(peer.native.isResumed()).toBe(true);
      const refused = open.observer.events.filter(({ event }) => event === 'refused');
      expect(refused).toMatchObject([{ reason: 'resumed_session' }]);
      expect(open.handler.calls).toBe(0);
      peer.close();
    } finally {
      rotation.mockRestore();
      await open.close();
    }
  });
});

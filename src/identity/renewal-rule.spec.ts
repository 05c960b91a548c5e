import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { admittedUntil, withFirstAdmission, withNewCertificate } from './certificate-succession.js';
import type { DeviceCertificate, DeviceIdentity } from './device-identity.js';
import {
  type ConflictAction,
  type RenewalDecision,
  type RenewalPolicy,
  type RenewalWish,
  decideRenewal,
} from './renewal-rule.js';

const NOW = 1_780_000_000_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const GRACE = 30 * DAY;
const POLICY: RenewalPolicy = { returnGraceMs: GRACE, onConflict: 'suspend', restoredAt: null };

const certificate = (fingerprint: string, keyHash: string, issuedAt = NOW): DeviceCertificate => ({
  fingerprint,
  keyHash,
  serial: '',
  issuedAt,
  expiresAt: issuedAt + DAY,
  firstAdmittedAt: null,
});

const paired: DeviceIdentity = {
  deviceId: '01K9ZAYT3M4V5W6X7Y8Z9ABCDE',
  clientKind: 'node',
  platform: '',
  identityKey: Buffer.alloc(32, 1),
  pairedAt: NOW,
  current: certificate('first', 'key 1'),
  previous: null,
  suspendedAt: null,
  conflictAt: null,
};
const renewed = withNewCertificate(paired, certificate('second', 'key 2'));
const expiry = NOW + DAY;

const wish = (changes: Partial<RenewalWish> = {}): RenewalWish => ({
  parent: 'first',
  keyHash: 'key 2',
  keyInUse: false,
  parentKnown: true,
  ...changes,
});

describe('the rule of renewal', () => {
  const decide = (
    identity: DeviceIdentity,
    asked: RenewalWish,
    now = NOW,
    policy = POLICY,
  ): RenewalDecision => decideRenewal(identity, asked, now, policy);

  it('issues to who names the newest certificate', () => {
    expect(decide(paired, wish())).toEqual({ kind: 'issue', returning: false });
  });

  it('answers the same for the key that the newest certificate is for, as long as it lives', () => {
    const same = { kind: 'same_certificate', certificate: renewed.current };
    expect(decide(renewed, wish())).toEqual(same);
    expect(decide(renewed, wish({ parent: 'second' }))).toEqual(same);
    expect(decide(renewed, wish(), expiry - 1)).toEqual(same);
    expect(decide(renewed, wish(), expiry)).toEqual({ kind: 'issue', returning: true });
  });

  it.each<ConflictAction>(['suspend', 'flag'])('sees a conflict in any other parent: %s', (onConflict) => {
    const conflict = { kind: 'conflict', action: onConflict };
    const policy = { ...POLICY, onConflict };
    for (const parent of ['first', 'unknown']) {
      expect(decide(renewed, wish({ parent, keyHash: 'key 3' }), NOW, policy)).toEqual(conflict);
      expect(decide(renewed, wish({ parent, keyHash: 'key 3' }), NOW + 365 * DAY, policy)).toEqual(conflict);
    }
    expect(decide({ ...paired, current: null }, wish(), NOW, policy)).toEqual(conflict);
  });

  it('believes a parent that a restored store has forgotten, until the device has renewed since', () => {
    const restored = { ...POLICY, restoredAt: NOW + HOUR };
    const forgotten = wish({ parent: 'of after the backup', keyHash: 'key 3', parentKnown: false });
    const conflict = { kind: 'conflict', action: 'suspend' };
    expect(decide(paired, forgotten, NOW + 2 * HOUR, restored)).toEqual({ kind: 'issue', returning: false });
    expect(decide(paired, forgotten, expiry, restored)).toEqual({ kind: 'issue', returning: true });
    expect(decide(paired, forgotten, expiry + GRACE, restored)).toEqual({
      kind: 'refused',
      reason: 'RENEWAL_TOO_LATE',
    });
    // A parent that the store does know is an older certificate: a copy, as ever.
    expect(decide(paired, { ...forgotten, parentKnown: true }, NOW, restored)).toEqual(conflict);
    expect(decide(paired, forgotten, NOW, POLICY)).toEqual(conflict);
    const since = withNewCertificate(paired, certificate('third', 'key 3', NOW + 2 * HOUR));
    expect(decide(since, { ...forgotten, keyHash: 'key 4' }, NOW + 3 * HOUR, restored)).toEqual(conflict);
    expect(decide({ ...paired, suspendedAt: NOW }, forgotten, NOW, restored)).toEqual({
      kind: 'refused',
      reason: 'DEVICE_SUSPENDED',
    });
  });

  it('does not take a certificate whose key was not kept for one of the requested key', () => {
    const unkept = { ...paired, current: { ...certificate('second', ''), keyHash: null } };
    expect(decide(unkept, wish())).toEqual({ kind: 'conflict', action: 'suspend' });
    expect(decide(unkept, wish({ parent: 'second' }))).toEqual({ kind: 'issue', returning: false });
  });

  it('lets a device return within the grace, and not after it', () => {
    expect(decide(paired, wish(), expiry + GRACE - 1)).toEqual({ kind: 'issue', returning: true });
    expect(decide(paired, wish(), expiry + GRACE)).toEqual({ kind: 'refused', reason: 'RENEWAL_TOO_LATE' });
  });

  it('lets no expired device return when the grace is 0', () => {
    const policy = { ...POLICY, returnGraceMs: 0 };
    expect(decide(paired, wish(), expiry - 1, policy)).toEqual({ kind: 'issue', returning: false });
    expect(decide(paired, wish(), expiry, policy)).toEqual({ kind: 'refused', reason: 'RENEWAL_TOO_LATE' });
  });

  it('gives a suspended device nothing, whatever it asks for', () => {
    const refused = { kind: 'refused', reason: 'DEVICE_SUSPENDED' };
    const suspended = { ...renewed, suspendedAt: NOW };
    for (const asked of [wish(), wish({ parent: 'second', keyHash: 'key 3' }), wish({ parent: 'unknown' })]) {
      expect(decide(suspended, asked)).toEqual(refused);
    }
  });

  it('certifies no key that another device uses', () => {
    expect(decide(paired, wish({ keyInUse: true }))).toEqual({ kind: 'refused', reason: 'KEY_IN_USE' });
  });
});

/** What one copy of the device's directory holds. */
interface Copy {
  readonly newest: string;
  /** The key that was saved before it was asked for. */
  readonly pending: string | undefined;
}

interface Answer {
  readonly decision: RenewalDecision;
  readonly certificate: DeviceCertificate | undefined;
}

/** A registry of one device and the copies of its directory, all told what the rule decides. */
class World {
  now = NOW;
  identity = paired;
  readonly copies: Copy[] = [{ newest: 'first', pending: undefined }];
  readonly issued: string[] = ['first'];
  #keys = 1;

  constructor(private readonly policy: RenewalPolicy = POLICY) {}

  clone(index: number): void {
    this.copies.push(this.copy(index));
  }

  /** Asks, and takes the answer unless it is lost on its way. */
  renew(index: number, lost = false): Answer {
    const before = this.copy(index);
    const pending = before.pending ?? this.newKey();
    this.copies[index] = { ...before, pending };
    const answer = this.answer({
      parent: before.newest,
      keyHash: pending,
      keyInUse: false,
      parentKnown: true,
    });
    if (answer.certificate !== undefined && !lost) {
      this.copies[index] = { newest: answer.certificate.fingerprint, pending: undefined };
    }
    return answer;
  }

  /** The device connects with its newest certificate. */
  connect(index: number): void {
    this.identity = withFirstAdmission(this.identity, this.copy(index).newest, this.now);
  }

  clear(): void {
    this.identity = { ...this.identity, suspendedAt: null };
  }

  /** Certificates that are admitted now, of all that were ever issued. */
  live(): string[] {
    return this.issued.filter((name) => (admittedUntil(this.identity, name) ?? 0) > this.now);
  }

  copy(index: number): Copy {
    const copy = this.copies[index % this.copies.length];
    if (copy === undefined) throw new Error('there is no copy');
    return copy;
  }

  private answer(asked: RenewalWish): Answer {
    const decision = decideRenewal(this.identity, asked, this.now, this.policy);
    switch (decision.kind) {
      case 'issue': {
        const made = certificate(`certificate ${this.issued.length}`, asked.keyHash, this.now);
        this.issued.push(made.fingerprint);
        this.identity = withNewCertificate(this.identity, made);
        return { decision, certificate: made };
      }
      case 'same_certificate':
        return { decision, certificate: decision.certificate };
      case 'conflict':
        if (decision.action === 'suspend') this.identity = { ...this.identity, suspendedAt: this.now };
        return { decision, certificate: undefined };
      case 'refused':
        return { decision, certificate: undefined };
    }
  }

  private newKey(): string {
    this.#keys += 1;
    return `key ${this.#keys}`;
  }
}

const kindsOf = (answers: readonly Answer[]): string[] => answers.map(({ decision }) => decision.kind);

type Step = (world: World) => void;

/** Time goes on by up to a day, or by up to the grace. */
const passing = fc.oneof(fc.integer({ min: 1, max: DAY }), fc.integer({ min: 1, max: GRACE - DAY })).map(
  (ms): Step =>
    (world) =>
      void (world.now += ms),
);
const renewing = fc.record({ index: fc.nat(3), lost: fc.boolean() }).map(
  ({ index, lost }): Step =>
    (world) =>
      void world.renew(index % world.copies.length, lost),
);
const connecting = fc.nat(3).map((index): Step => (world) => {
  world.connect(index % world.copies.length);
});
const cloning = fc.nat(3).map((index): Step => (world) => {
  if (world.copies.length < 4) world.clone(index % world.copies.length);
});
const clearing = fc.constant<Step>((world) => {
  world.clear();
});

describe('renewals in any order', () => {
  it('leave at most two certificates admitted, clones and lost answers or not', () => {
    const steps = fc.array(fc.oneof(passing, renewing, renewing, connecting, cloning, clearing), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(steps, fc.constantFrom<ConflictAction>('suspend', 'flag'), (taken, onConflict) => {
        const world = new World({ ...POLICY, onConflict });
        for (const step of taken) {
          step(world);
          expect(world.live().length).toBeLessThanOrEqual(2);
        }
      }),
    );
  });

  it('never take one device alone for two, whatever is lost and however long it is off within the grace', () => {
    const steps = fc.array(
      fc.record({ offFor: fc.integer({ min: 0, max: GRACE - 1 }), lost: fc.boolean() }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(steps, (taken) => {
        const world = new World();
        for (const { offFor, lost } of taken) {
          // At most the grace after the expiry of what it asks with.
          world.now += offFor;
          expect(['issue', 'same_certificate']).toContain(world.renew(0, lost).decision.kind);
        }
      }),
    );
  });

  it('answer a repeated request with the same certificate', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: DAY - 1 }), fc.integer({ min: 1, max: 5 }), (later, times) => {
        const world = new World();
        const first = world.renew(0, true).certificate;
        world.now += later;
        for (let i = 0; i < times; i++) expect(world.renew(0, true).certificate).toEqual(first);
        expect(world.renew(0).certificate).toEqual(first);
        expect(world.issued).toHaveLength(2);
      }),
    );
  });

  it('show a copied directory, whichever copy moves first and wherever the device stood', () => {
    const history = fc.array(fc.oneof(passing, renewing, connecting), { maxLength: 10 });
    const MOST_MOVES = 12;
    const order = fc.array(fc.record({ index: fc.nat(1), lost: fc.boolean(), pause: fc.nat(DAY) }), {
      maxLength: MOST_MOVES,
    });
    fc.assert(
      fc.property(history, order, (before, after) => {
        const world = new World();
        for (const step of before) step(world);
        // Whoever is too late is refused without more; nobody is by the last of the pauses below.
        fc.pre(world.identity.current!.expiresAt + GRACE > world.now + MOST_MOVES * DAY);
        world.clone(0);
        const answers = after.map(({ index, lost, pause }) => {
          world.now += pause;
          return world.renew(index, lost);
        });
        // What was under way when it was copied is one key in both; two rounds more, and each has asked with its own.
        for (const index of [0, 1, 0, 1]) answers.push(world.renew(index));
        expect(kindsOf(answers)).toContain('conflict');
        expect(world.identity.suspendedAt).not.toBeNull();
      }),
    );
  });

  it('go on after a clearing for the copy that holds the newest certificate, and for no other', () => {
    for (const firstMover of [0, 1]) {
      const world = new World();
      world.clone(0);
      world.renew(firstMover);
      expect(world.renew(1 - firstMover).decision.kind).toBe('conflict');
      expect(world.renew(firstMover).decision).toEqual({ kind: 'refused', reason: 'DEVICE_SUSPENDED' });
      world.clear();
      expect(world.renew(firstMover).decision.kind).toBe('issue');
      expect(world.renew(1 - firstMover).decision.kind).toBe('conflict');
    }
  });
});

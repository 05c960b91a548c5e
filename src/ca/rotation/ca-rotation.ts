import type { CommittedReader, Unit, UnitOfWork } from '../../database/unit-of-work.js';
import { DomainError } from '../../errors/domain-error.js';
import { actorOf, type OperatorCaller } from '../../operators/caller.js';
import type { RandomBytes } from '../../random/random-bytes.js';
import type { Clock } from '../../time/clock.js';
import type { CertificateAuthority } from '../certificate-authority.js';
import { lastLeafExpiry, recordIssued } from '../certificate-index.js';
import {
  makeRoot,
  type NewRootOptions,
  type Root,
  type RootHistory,
  rootRecordName,
  type RootState,
  withRootState,
} from '../root-record.js';
import { readRoots, RootSet, shownUntil } from '../root-set.js';
import type { CaPublication } from './ca-publication.js';
import {
  neededUntil,
  requireUnused,
  rootToActivate,
  rootToRetire,
  signersOfNext,
  type RootUse,
} from './rotation-rule.js';

/** What else of the cluster leans on a root; the other features' side of a rotation. */
export interface RootDependants {
  /** When the last live link expires that was minted in this time, so that it pins the root that signed then. */
  lastLinkExpiry(
    view: Pick<Unit, 'tables'>,
    from: number,
    to: number,
    now: number,
  ): Promise<number | undefined>;
  /** Ends what pins a root that is not to be trusted any more: operator tokens and links. */
  endPinned(unit: Unit): Promise<EndedPins>;
  /** Makes the first admin anew, with a token that pins the new root, when there is no operator left. */
  ensureAdmin(): Promise<void>;
}

export interface EndedPins {
  readonly operators: number;
  readonly links: number;
}

export interface CaRotationParts {
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly authority: CertificateAuthority;
  /** Whether something stops rotation at this moment. */
  readonly isHeldUp: () => boolean;
  readonly publication: CaPublication;
  readonly dependants: RootDependants;
}

/** A root as operators see it. */
export interface ShownRoot {
  readonly root: Root;
  /** Retiring: when it may be retired at the earliest; `undefined` for now. Unix milliseconds. */
  readonly neededUntil: number | undefined;
  /** Retired: until when the way from it is shown. */
  readonly shownUntil: number | undefined;
}

export interface CompromiseOutcome extends EndedPins {
  readonly root: ShownRoot;
  /** Connections of devices that this replica closed. */
  readonly closedConnections: number;
}

/**
 * Rotation of the CA (DESIGN §3). Each step is one unit of work over the roots as the store has them; afterwards this
 * process takes the change over, and others follow the change log. A step that was done before answers the same again.
 */
export class CaRotation {
  constructor(private readonly parts: CaRotationParts) {}

  /** All roots, the signing one first. */
  async list(): Promise<ShownRoot[]> {
    const { committed, authority } = this.parts;
    const set = RootSet.of(await readRoots(committed.secrets), authority.trustDomain);
    return Promise.all(set.all.map((root) => this.shown(committed, root)));
  }

  /**
   * Makes a new root that is trusted from now on, certified by the old ones, and signs nothing yet. Throws `wrong_state`
   * ROOT_PREPARED or ROTATION_TOO_SOON.
   */
  async prepare(caller: OperatorCaller, reason: string): Promise<ShownRoot> {
    return this.step(async (unit, set) => {
      const signers = signersOfNext(set, this.parts.clock.now(), this.parts.authority.returnGraceMs);
      const crossSigners = signers.map(({ issuer }) => issuer);
      const root = await this.addRoot(unit, { state: 'prepared', crossSigners });
      const { keyId, certificate } = root.issuer;
      const crossSignedBy = signers.map(({ issuer }) => issuer.keyId);
      const details = { expiresAt: certificate.notAfter, crossSignedBy };
      audit(unit, caller, 'ca.prepared', keyId, reason, details);
      return root;
    });
  }

  /** The prepared root signs from now on. Throws as `rootToActivate`. */
  async activate(caller: OperatorCaller, keyId: string, reason: string): Promise<ShownRoot> {
    return this.step(async (unit, set) => {
      const now = this.parts.clock.now();
      const root = rootToActivate(set, keyId, now);
      if (root === undefined) return set.signing;
      const before = set.signing.issuer.keyId;
      await changeRoot(unit, before, { state: 'retiring', supersededAt: now });
      await changeRoot(unit, root.issuer.keyId, { state: 'signing', activatedAt: now });
      audit(unit, caller, 'ca.activated', root.issuer.keyId, reason, { before });
      return { ...root, state: 'signing', activatedAt: now };
    });
  }

  /**
   * Takes a retiring root out of the bundle, or gives a prepared one up. Throws as `rootToRetire`, and `wrong_state`
   * ROOT_IN_USE, which says until when.
   */
  async retire(caller: OperatorCaller, keyId: string, reason: string): Promise<ShownRoot> {
    return this.step(async (unit, set) => {
      const root = rootToRetire(set, keyId);
      if (root.state === 'retired') return root;
      const now = this.parts.clock.now();
      requireUnused(await this.useOf(unit, root, now), now);
      // Nobody knows a root alone that never signed, so there is no way from it to be shown.
      if (root.state === 'prepared') await unit.secrets.delete(rootRecordName(root.issuer.keyId));
      else await changeRoot(unit, root.issuer.keyId, { state: 'retired', retiredAt: now });
      audit(unit, caller, 'ca.retired', root.issuer.keyId, reason, { was: root.state });
      return { ...root, state: 'retired', retiredAt: now };
    });
  }

  /**
   * After a compromise: a new root signs, certified by nobody, and all others go at once, since whoever had one key of
   * this store may have had all. What pins them ends too: somebody who holds the old key could have every operator send
   * its token to him. The next admin token is left where the first one was.
   */
  async replaceCompromised(caller: OperatorCaller, reason: string): Promise<CompromiseOutcome> {
    const { unitOfWork, authority, publication, dependants, committed } = this.parts;
    const { root, ended } = await unitOfWork.run(async (unit) => {
      const set = RootSet.of(await readRoots(unit.secrets), authority.trustDomain);
      const before = set.all.map(({ issuer }) => issuer.keyId);
      for (const old of before) await unit.secrets.delete(rootRecordName(old));
      const added = await this.addRoot(unit, { state: 'signing' });
      const pins = await dependants.endPinned(unit);
      audit(unit, caller, 'ca.compromised', added.issuer.keyId, reason, { before, ...pins });
      return { root: added, ended: pins };
    });
    const closedConnections = await publication.refresh();
    await dependants.ensureAdmin();
    return { ...ended, closedConnections, root: await this.shown(committed, root) };
  }

  /**
   * Forgets retired roots whose way nobody is shown any more, keys included. Returns how many; none while rotation is held
   * up: a clock that is ahead must not take the way back from devices that are within their grace.
   */
  async forgetRetired(): Promise<number> {
    if (this.parts.isHeldUp()) return 0;
    const { unitOfWork, authority, clock, publication } = this.parts;
    const isOver = (root: Root): boolean =>
      (shownUntil(root, authority.returnGraceMs) ?? Number.POSITIVE_INFINITY) <= clock.now();
    if (!authority.roots.all.some(isOver)) return 0;
    const forgotten = await unitOfWork.run(async (unit) => {
      const over = (await readRoots(unit.secrets)).filter(isOver).map(({ issuer }) => issuer.keyId);
      for (const keyId of over) {
        await unit.secrets.delete(rootRecordName(keyId));
        unit.audit.append({
          actor: 'system',
          source: 'local',
          action: 'ca.forgotten',
          subject: rootRecordName(keyId),
        });
      }
      return over.length;
    });
    await publication.refresh();
    return forgotten;
  }

  /** `change` returns the root that the step was about, as it is then. */
  private async step(change: (unit: Unit, set: RootSet) => Promise<Root>): Promise<ShownRoot> {
    const { unitOfWork, authority, publication, committed } = this.parts;
    const root = await unitOfWork.run(async (unit) =>
      change(unit, RootSet.of(await readRoots(unit.secrets), authority.trustDomain)),
    );
    await publication.refresh();
    return this.shown(committed, root);
  }

  private async addRoot(unit: Unit, options: NewRootOptions): Promise<Root> {
    const { authority, clock, random } = this.parts;
    const { root, certificate, crossCertificates, record } = await makeRoot(
      authority.trustDomain,
      clock.now(),
      random,
      options,
    );
    await unit.secrets.write(rootRecordName(root.issuer.keyId), record);
    record.fill(0);
    for (const issued of [certificate, ...crossCertificates]) await recordIssued(unit, issued);
    return root;
  }

  private async shown(view: Pick<Unit, 'tables'>, root: Root): Promise<ShownRoot> {
    const now = this.parts.clock.now();
    const use = root.state === 'retiring' ? await this.useOf(view, root, now) : undefined;
    return {
      root,
      neededUntil: use && neededUntil(use, now),
      shownUntil: shownUntil(root, this.parts.authority.returnGraceMs),
    };
  }

  private async useOf(view: Pick<Unit, 'tables'>, root: Root, now: number): Promise<RootUse> {
    const { activatedAt, supersededAt } = root;
    const lastLinkExpiresAt =
      activatedAt === null || supersededAt === null
        ? undefined
        : await this.parts.dependants.lastLinkExpiry(view, activatedAt, supersededAt, now);
    return { lastLeafExpiresAt: await lastLeafExpiry(view, root.issuer.keyId, now), lastLinkExpiresAt };
  }
}

async function changeRoot(
  unit: Unit,
  keyId: string,
  changes: Partial<Omit<RootHistory, 'createdAt'>> & { readonly state: RootState },
): Promise<void> {
  const name = rootRecordName(keyId);
  const record = await unit.secrets.read(name);
  if (record === undefined) throw new DomainError('internal', 'ROOT_GONE', `the record ${name} is gone`);
  const changed = withRootState(name, record, changes);
  await unit.secrets.write(name, changed);
  record.fill(0);
  changed.fill(0);
}

function audit(
  unit: Unit,
  caller: OperatorCaller,
  action: string,
  keyId: string,
  reason: string,
  details: Record<string, unknown>,
): void {
  unit.audit.append({
    actor: actorOf(caller),
    source: caller.source,
    action,
    subject: rootRecordName(keyId),
    reason,
    details,
  });
}

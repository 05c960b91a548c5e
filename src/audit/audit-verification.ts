/**
 * Verifies an export of the audit log away from the store that made it (docs/protocol.md, "Audit"). Pure.
 *
 * What is not named by a head that was kept elsewhere cannot be known: a store that was put back, or rewritten by whoever
 * holds the audit key, verifies until an older head (`since`) is held against it.
 */
import type { KeyObject } from 'node:crypto';
import { CanonicalEncodingError } from '../encoding/canonical.js';
import { entryHash, NO_PREVIOUS_HASH } from './audit-chain.js';
import type { AuditEntry } from './audit-entry.js';
import type { SignedAuditHead } from './audit-head.js';
import { headSignatureHolds } from './audit-head.js';
import { NumberSet } from './number-set.js';

export type AuditFindingKind =
  /** Contents, hash or link; or a head names another hash for this entry. */
  | 'changed'
  /** This number, and perhaps some after it, is missing inside. */
  | 'removed'
  /** The end is missing; the sequence is the first one gone. */
  | 'cut'
  /** Stands behind a higher number. */
  | 'reordered'
  | 'repeated'
  | 'epoch_fell'
  /** The signature of the head with this sequence does not hold. */
  | 'head_signature'
  /** The head with this sequence is of another store. */
  | 'other_store'
  /** Stands behind the head. */
  | 'unwitnessed';

export interface AuditFinding {
  readonly finding: AuditFindingKind;
  readonly sequence: number;
}

export interface VerificationTrust {
  /** The store's Ed25519 public key, from `palyra status` or an older head's keeper; never from the export. */
  readonly auditKey: KeyObject;
  /** 16 bytes. */
  readonly storeId: Uint8Array;
  /** An older head that was kept elsewhere. The export may then begin at its entry or behind it. */
  readonly since: SignedAuditHead | null;
}

/** All that is wrong with an export, by sequence; empty when it verifies. */
export function verifyExport(
  entries: Iterable<AuditEntry>,
  head: SignedAuditHead,
  trust: VerificationTrust,
): AuditFinding[] {
  const verification = new ExportVerification(head, trust);
  for (const entry of entries) verification.take(entry);
  return verification.findings();
}

/** What later checks need of an entry. */
interface Link {
  readonly sequence: number;
  readonly epoch: number;
  readonly previous: Buffer;
  readonly hash: Buffer;
  /** Whether the hash is that of the contents. */
  readonly intact: boolean;
}

/** Entries whose numbers follow each other without a gap; what lies between the two ends was checked. */
interface Run {
  readonly first: Link;
  last: Link;
}

/**
 * Takes the entries in the order of the file, one by one. It keeps the ends of unbroken stretches and a bit for each
 * number, so that a long export in order costs next to no memory; one that was shuffled costs some for each break.
 */
export class ExportVerification {
  readonly #found = new Map<string, AuditFinding>();
  readonly #seen = new NumberSet();
  /** By the sequence of their last entry. */
  readonly #runs = new Map<number, Run>();
  /** The entries that the heads name. */
  readonly #named = new Map<number, Link>();
  #highest = 0;

  constructor(
    private readonly head: SignedAuditHead,
    private readonly trust: VerificationTrust,
  ) {}

  take(entry: AuditEntry): void {
    const { sequence } = entry;
    if (this.#seen.has(sequence)) {
      this.report('repeated', sequence);
      return;
    }
    this.#seen.add(sequence);
    if (sequence < this.#highest) this.report('reordered', sequence);
    this.#highest = Math.max(this.#highest, sequence);
    if (sequence > this.head.sequence) this.report('unwitnessed', sequence);
    const intact = hashHolds(entry);
    if (!intact) this.report('changed', sequence);
    this.link({ sequence, epoch: entry.epoch, previous: entry.previous, hash: entry.hash, intact });
  }

  /** All that is wrong, by sequence; empty when the export verifies. Call it when all entries were taken. */
  findings(): AuditFinding[] {
    this.checkHeads();
    this.checkRuns();
    this.checkAgainst(this.head);
    if (this.trust.since !== null) this.checkAgainst(this.trust.since);
    this.checkEnd();
    return [...this.#found.values()].sort((one, other) => one.sequence - other.sequence);
  }

  private link(link: Link): void {
    const { sequence } = link;
    if (sequence === this.head.sequence || sequence === this.trust.since?.sequence)
      this.#named.set(sequence, link);
    const run = this.#runs.get(sequence - 1);
    if (run === undefined) {
      this.#runs.set(sequence, { first: link, last: link });
      return;
    }
    this.checkStep(run.last, link);
    run.last = link;
    this.#runs.delete(sequence - 1);
    this.#runs.set(sequence, run);
  }

  private checkHeads(): void {
    const { since } = this.trust;
    this.checkHead(this.head);
    if (since === null) return;
    this.checkHead(since);
    if (this.head.epoch < since.epoch) this.report('epoch_fell', this.head.sequence);
    // With no entry behind the older head there is none that both could be held against.
    if (this.head.sequence === since.sequence && !namesSame(this.head, since))
      this.report('changed', since.sequence);
  }

  private checkRuns(): void {
    const runs = [...this.#runs.values()].sort((one, other) => one.first.sequence - other.first.sequence);
    this.checkBeginning(runs[0]?.first);
    for (const [index, run] of runs.entries()) {
      const next = runs[index + 1];
      if (next !== undefined) this.checkStep(run.last, next.first);
    }
  }

  private checkHead(head: SignedAuditHead): void {
    if (!headSignatureHolds(head, this.trust.auditKey)) this.report('head_signature', head.sequence);
    if (!head.storeId.equals(this.trust.storeId)) this.report('other_store', head.sequence);
  }

  /** The first entry, unless the export goes on from an older head, is number 1 and names no other. */
  private checkBeginning(link: Link | undefined): void {
    if (link === undefined) return;
    const { since } = this.trust;
    const first = link.sequence;
    if (first === 1) {
      if (!link.previous.equals(NO_PREVIOUS_HASH)) this.report('changed', 1);
      return;
    }
    const behindSince = (since?.sequence ?? 0) + 1;
    if (first > behindSince || since === null) this.report('removed', Math.min(first, behindSince));
    else if (first === behindSince && !link.previous.equals(since.hash)) this.report('changed', first);
  }

  private checkStep(before: Link, after: Link): void {
    if (after.epoch < before.epoch) this.report('epoch_fell', after.sequence);
    if (after.sequence !== before.sequence + 1) {
      this.report('removed', before.sequence + 1);
      return;
    }
    // If the next entry was altered, that is said of it already, and its link is worth nothing.
    if (after.intact && !after.previous.equals(before.hash)) this.report('changed', before.sequence);
  }

  private checkAgainst(head: SignedAuditHead): void {
    const link = this.#named.get(head.sequence);
    if (link === undefined) return;
    if (!namesSame(link, head)) this.report('changed', head.sequence);
  }

  private checkEnd(): void {
    const since = this.trust.since?.sequence ?? 0;
    const witnessed = Math.max(this.head.sequence, since);
    const isEmpty = this.#highest === 0;
    const last = isEmpty ? since : this.#highest;
    if (last < witnessed) this.report('cut', last + 1);
    // An older head shown as the newer one: what lies between them is gone, though no entry is there to miss.
    else if (isEmpty && this.head.sequence < since) this.report('cut', this.head.sequence + 1);
  }

  private report(finding: AuditFindingKind, sequence: number): void {
    this.#found.set(`${finding} ${sequence}`, { finding, sequence });
  }
}

/** For two that have the same sequence. */
function namesSame(one: Pick<Link, 'hash' | 'epoch'>, other: Pick<Link, 'hash' | 'epoch'>): boolean {
  return one.hash.equals(other.hash) && one.epoch === other.epoch;
}

function hashHolds(entry: AuditEntry): boolean {
  try {
    return entryHash(entry).equals(entry.hash);
  } catch (error) {
    if (error instanceof CanonicalEncodingError) return false;
    throw error;
  }
}

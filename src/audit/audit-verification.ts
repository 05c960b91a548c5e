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
  const verification = new Verification(head, trust);
  verification.checkHeads();
  for (const entry of entries) verification.take(entry);
  verification.checkOrderAndLinks();
  return verification.findings();
}

/** What later checks need of an entry. */
interface Link {
  readonly epoch: number;
  readonly previous: Buffer;
  readonly hash: Buffer;
  /** Whether the hash is that of the contents. */
  readonly intact: boolean;
}

class Verification {
  readonly #found = new Map<string, AuditFinding>();
  readonly #links = new Map<number, Link>();
  #highest = 0;

  constructor(
    private readonly head: SignedAuditHead,
    private readonly trust: VerificationTrust,
  ) {}

  findings(): AuditFinding[] {
    return [...this.#found.values()].sort((one, other) => one.sequence - other.sequence);
  }

  checkHeads(): void {
    const { since } = this.trust;
    this.checkHead(this.head);
    if (since === null) return;
    this.checkHead(since);
    if (this.head.epoch < since.epoch) this.report('epoch_fell', this.head.sequence);
  }

  /** Takes the entries in the order of the file. */
  take(entry: AuditEntry): void {
    const { sequence } = entry;
    if (this.#links.has(sequence)) {
      this.report('repeated', sequence);
      return;
    }
    if (sequence < this.#highest) this.report('reordered', sequence);
    this.#highest = Math.max(this.#highest, sequence);
    if (sequence > this.head.sequence) this.report('unwitnessed', sequence);
    const intact = hashHolds(entry);
    if (!intact) this.report('changed', sequence);
    this.#links.set(sequence, { epoch: entry.epoch, previous: entry.previous, hash: entry.hash, intact });
  }

  checkOrderAndLinks(): void {
    const sequences = [...this.#links.keys()].sort((one, other) => one - other);
    this.checkBeginning(sequences[0]);
    for (const [index, sequence] of sequences.entries()) {
      const next = sequences[index + 1];
      if (next !== undefined) this.checkStep(sequence, next);
    }
    this.checkAgainst(this.head);
    if (this.trust.since !== null) this.checkAgainst(this.trust.since);
    this.checkEnd();
  }

  private checkHead(head: SignedAuditHead): void {
    if (!headSignatureHolds(head, this.trust.auditKey)) this.report('head_signature', head.sequence);
    if (!head.storeId.equals(this.trust.storeId)) this.report('other_store', head.sequence);
  }

  /** The first entry, unless the export goes on from an older head, is number 1 and names no other. */
  private checkBeginning(first: number | undefined): void {
    if (first === undefined) return;
    const { since } = this.trust;
    const link = this.#links.get(first);
    if (first === 1) {
      if (link?.previous.equals(NO_PREVIOUS_HASH) !== true) this.report('changed', 1);
      return;
    }
    const behindSince = (since?.sequence ?? 0) + 1;
    if (first > behindSince || since === null) this.report('removed', Math.min(first, behindSince));
    else if (first === behindSince && link?.previous.equals(since.hash) !== true)
      this.report('changed', first);
  }

  private checkStep(sequence: number, next: number): void {
    const before = this.#links.get(sequence);
    const after = this.#links.get(next);
    if (before === undefined || after === undefined) return;
    if (after.epoch < before.epoch) this.report('epoch_fell', next);
    if (next !== sequence + 1) {
      this.report('removed', sequence + 1);
      return;
    }
    // If the next entry was altered, that is said of it already, and its link is worth nothing.
    if (after.intact && !after.previous.equals(before.hash)) this.report('changed', sequence);
  }

  private checkAgainst(head: SignedAuditHead): void {
    const link = this.#links.get(head.sequence);
    if (link === undefined) return;
    if (!link.hash.equals(head.hash) || link.epoch !== head.epoch) this.report('changed', head.sequence);
  }

  private checkEnd(): void {
    const since = this.trust.since?.sequence ?? 0;
    const witnessed = Math.max(this.head.sequence, since);
    const last = this.#links.size === 0 ? since : this.#highest;
    if (last < witnessed) this.report('cut', last + 1);
    // An older head shown as the newer one: what lies between them is gone, though no entry is there to miss.
    else if (this.#links.size === 0 && this.head.sequence < since) this.report('cut', this.head.sequence + 1);
  }

  private report(finding: AuditFindingKind, sequence: number): void {
    this.#found.set(`${finding} ${sequence}`, { finding, sequence });
  }
}

function hashHolds(entry: AuditEntry): boolean {
  try {
    return entryHash(entry).equals(entry.hash);
  } catch (error) {
    if (error instanceof CanonicalEncodingError) return false;
    throw error;
  }
}

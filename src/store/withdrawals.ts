/** What a restore undoes that took something away, read from the audit entries that came after the backup. Pure. */
import type { AuditEntry } from '../audit/audit-entry.js';

/** A decision that is undone by a restore, and has to be made again before the store may be used. */
export interface Withdrawal {
  readonly sequence: number;
  /** Unix milliseconds. */
  readonly timeMs: number;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly reason: string;
  /** `revoke`: by revoking the device that `subject` names; `by_hand`: somebody has to look. */
  readonly redo: 'revoke' | 'by_hand';
}

/** What came after a backup, as far as it matters for whoever restores that. */
export interface LaterDecisions {
  /** In their order; a device that was revoked several times is there once. */
  readonly withdrawals: readonly Withdrawal[];
  /**
   * Devices that were approved later, and not revoked after that: unknown to the backup, or known with an older certificate.
   */
  readonly approvedDevices: readonly string[];
}

const REVOKED = 'device.revoked';
const APPROVED = 'pairing.approved';
/** The key that was replaced, perhaps since it leaked, is in force again. */
const KEY_CHANGES = new Set(['store.rekeyed', 'store.data_rekeyed']);
/** What only adds. All else that was decided about operators and the CA is shown, also what later versions write. */
const ADDING = new Set(['operator.created', 'ca.created', 'ca.prepared']);

export class LaterDecisionsReader {
  readonly #withdrawals: Withdrawal[] = [];
  readonly #revoked = new Set<string>();
  readonly #approved = new Set<string>();

  /** Entries in their order; those up to `backupSequence` are in the backup and passed over. */
  constructor(private readonly backupSequence: number) {}

  take(entry: AuditEntry): void {
    if (entry.sequence <= this.backupSequence) return;
    if (entry.action === APPROVED) this.#approved.add(entry.subject);
    // Nobody is to be told that it has to pair again.
    if (entry.action === REVOKED) this.#approved.delete(entry.subject);
    const redo = redoOf(entry);
    if (redo === undefined) return;
    if (redo === 'revoke' && this.#revoked.has(entry.subject)) return;
    if (redo === 'revoke') this.#revoked.add(entry.subject);
    const { sequence, timeMs, actor, action, subject, reason } = entry;
    this.#withdrawals.push({ sequence, timeMs, actor, action, subject, reason, redo });
  }

  decisions(): LaterDecisions {
    return { withdrawals: this.#withdrawals, approvedDevices: [...this.#approved] };
  }
}

function redoOf(entry: AuditEntry): Withdrawal['redo'] | undefined {
  const { action } = entry;
  if (action === REVOKED) return 'revoke';
  if (action === 'device.suspended' || action === 'device.conflict') return 'by_hand';
  if (KEY_CHANGES.has(action)) return 'by_hand';
  // The identity that was replaced is in the backup, and may come in again.
  if (action === APPROVED) return replacedIdentity(entry.details) ? 'by_hand' : undefined;
  const isOfOperatorsOrCa = action.startsWith('operator.') || action.startsWith('ca.');
  return isOfOperatorsOrCa && !ADDING.has(action) ? 'by_hand' : undefined;
}

function replacedIdentity(details: string): boolean {
  const parsed: unknown = JSON.parse(details);
  return typeof parsed === 'object' && parsed !== null && 'replaced_identity' in parsed
    ? parsed.replaced_identity === true
    : false;
}

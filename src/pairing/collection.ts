import { createHash } from 'node:crypto';
import { findIssued } from '../ca/certificate-index.js';
import type { CommittedReader, UnitOfWork } from '../database/unit-of-work.js';
import { malformed, notFound } from '../errors/domain-error.js';
import { readIdentity } from '../identity/enrolment.js';
import type { SecretReader } from '../secret-store/secret-store.js';
import type { ServiceHolds } from '../service-holds/service-holds.js';
import type { Clock } from '../time/clock.js';
import type { PairingHousekeeping } from './housekeeping.js';
import { PairingRequestRow, type PairingRequestState } from './pairing.entity.js';
import type { RequestChanges } from './request-changes.js';

/** How long one `Collect` call may wait, milliseconds. */
const LONGEST_WAIT_MS = 10 * 60_000;
const TOKEN_BYTES = 32;
const FINAL_STATES: readonly PairingRequestState[] = ['completed', 'rejected', 'expired'];

export interface CollectionParts {
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly clock: Clock;
  readonly changes: RequestChanges;
  readonly housekeeping: PairingHousekeeping;
  /** What may stop removal; by default nothing does. */
  readonly holds?: ServiceHolds;
  /** A leaf and what leads from it to a root, DER. */
  readonly chainOf: (leaf: Buffer, issuerKeyId: string) => Buffer[];
}

/** What the device is told of its request. */
export interface CollectedState {
  readonly requestId: string;
  readonly state: PairingRequestState;
  readonly reason: string;
  readonly expiresAt: number;
  /** Leaf and what leads from it to a root; empty unless the certificate may be used. */
  readonly certificateChain: readonly Buffer[];
}

/** Hands out the outcome of a pairing to whoever has its collect token (DESIGN §5, "Collect"). */
export class Collection {
  constructor(private readonly parts: CollectionParts) {}

  /**
   * The state at once, then each change, until a final one, 10 min, or `signal`. Throws `malformed` for what is no
   * token, and `not_found` when the token leads nowhere (any more): the device begins again.
   */
  async *watch(token: Uint8Array, source: string, signal: AbortSignal): AsyncGenerator<CollectedState> {
    const tokenHash = hashToken(token);
    const { requestId } = await this.row(tokenHash);
    const endsAt = this.parts.clock.monotonic() + LONGEST_WAIT_MS;
    const subscription = this.parts.changes.subscribe(requestId);
    let told: PairingRequestState | undefined;
    try {
      while (!signal.aborted) {
        const row = await this.settledRow(tokenHash, source);
        if (row.state !== told) yield await this.collected(row);
        if (FINAL_STATES.includes(row.state)) return;
        told = row.state;
        const wait = endsAt - this.parts.clock.monotonic();
        if (wait <= 0) return;
        await subscription.next(Math.min(wait, Math.max(0, row.expiresAt - this.parts.clock.now())), signal);
      }
    } finally {
      subscription.close();
    }
  }

  private async row(tokenHash: string): Promise<PairingRequestRow> {
    const row = await this.parts.committed.tables.findOneBy(PairingRequestRow, { tokenHash });
    if (row === null) throw nothingToCollect();
    return row;
  }

  /** The row, brought up to date: what is over is expired first, and what is handed out now is completed first. */
  private async settledRow(tokenHash: string, source: string): Promise<PairingRequestRow> {
    const row = await this.row(tokenHash);
    const open = row.state === 'pending_approval' || row.state === 'approved';
    if (open && row.expiresAt <= this.parts.clock.now()) {
      await this.parts.housekeeping.expireRequest(row.requestId);
      return this.row(tokenHash);
    }
    if (row.state !== 'approved') return row;
    await this.complete(row, source);
    return this.row(tokenHash);
  }

  /** The first sending of the certificate commits `completed`, before the certificate is sent. */
  private async complete({ requestId }: PairingRequestRow, source: string): Promise<void> {
    await this.parts.unitOfWork.run(async (unit) => {
      const row = await unit.tables.findOneBy(PairingRequestRow, { requestId });
      if (row?.state !== 'approved') return;
      if (!(await this.isUsable(unit, row))) throw nothingToCollect();
      await unit.tables.update(PairingRequestRow, { requestId }, { state: 'completed' });
      const device = `device/${row.deviceId}`;
      const details = { request_id: requestId };
      unit.audit.append({ actor: device, source, action: 'pairing.collected', subject: device, details });
    });
  }

  private async collected(row: PairingRequestRow): Promise<CollectedState> {
    return {
      requestId: row.requestId,
      state: row.state,
      reason: row.state === 'rejected' ? (row.reason ?? '') : '',
      expiresAt: row.expiresAt,
      certificateChain: row.state === 'completed' ? await this.chain(row) : [],
    };
  }

  private async chain(row: PairingRequestRow): Promise<Buffer[]> {
    const { committed, chainOf } = this.parts;
    if (!(await this.isUsable(committed, row))) throw nothingToCollect();
    const fingerprint = row.certificateFingerprint ?? '';
    const issued = await findIssued(committed, fingerprint);
    if (issued === undefined) throw nothingToCollect();
    return chainOf(issued.der, issued.issuerKeyId);
  }

  /** A certificate that is superseded, expired or revoked is not handed out any more; the sealed identity decides. */
  private async isUsable(view: { readonly secrets: SecretReader }, row: PairingRequestRow): Promise<boolean> {
    const identity = await readIdentity(view.secrets, row.deviceId);
    const newest = identity?.current ?? null;
    // The previous one may still be admitted, for a device that works with it: what there is to collect is the newer one.
    if (newest === null || newest.fingerprint !== row.certificateFingerprint) return false;
    if (newest.expiresAt > this.parts.clock.now()) return true;
    // A device that is told NOT_FOUND forgets its pairing: not on the word of a clock that is not believed.
    this.parts.holds?.require('pruning');
    return false;
  }
}

function hashToken(token: Uint8Array): string {
  if (token.length !== TOKEN_BYTES) throw malformed('INVALID_TOKEN', 'a collect token is 32 bytes');
  return sha256(token);
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function nothingToCollect(): Error {
  return notFound('NOTHING_TO_COLLECT', 'this token leads to no request; pair again with a new code');
}

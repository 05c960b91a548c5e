import type { Clock } from '../time/clock.js';
import { encodeJsonRecord } from '../secret-store/json-record.js';
import type { StorageHealth } from './storage-health.js';
import type { UnitOfWork } from './unit-of-work.js';

/** A sealed record that means nothing: it is written to see whether the store can be. */
export const WRITE_PROBE_NAME = 'write-probe';

/** A write that succeeded is good for so long, milliseconds: probes of every second need not wear the disk. */
const GOOD_FOR_MS = 5_000;
/** After a failure the store has to take this much, bytes, before it counts as well again. */
const RECOVERY_BYTES = 64 * 1024;

/** Finds out whether the store can be written, by writing: free space and modes of files tell only half of it. */
export class WriteProbe {
  #goodUntil = 0;

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly health: StorageHealth,
    private readonly clock: Clock,
  ) {}

  /** Throws `unavailable` or `corrupt` with the reason (STORE_FULL, STORE_READ_ONLY, STORE_BUSY, STORE_DAMAGED …). */
  async requireWritable(): Promise<void> {
    const { failure, damage } = this.health;
    if (damage !== undefined) throw damage;
    if (failure === undefined && this.clock.monotonic() < this.#goodUntil) return;
    if (failure !== undefined) {
      await this.write(RECOVERY_BYTES);
      this.health.recovered();
    }
    await this.write(0);
    this.#goodUntil = this.clock.monotonic() + GOOD_FOR_MS;
  }

  private write(size: number): Promise<void> {
    const record = encodeJsonRecord({ filler: '0'.repeat(size) });
    return this.unitOfWork.run((unit) => unit.secrets.write(WRITE_PROBE_NAME, record));
  }
}

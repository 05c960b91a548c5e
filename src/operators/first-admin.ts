import { join } from 'node:path';
import type { CommittedReader, UnitOfWork } from '../database/unit-of-work.js';
import type { RandomBytes } from '../random/random-bytes.js';
import { replaceFile } from '../secret-store/atomic-file.js';
import type { Clock } from '../time/clock.js';
import { hasOperators, newOperator } from './operator-register.js';

/** Name of the file in the data directory that holds the first admin's token until `palyra login` has exchanged it. */
export const ADMIN_TOKEN_FILE = 'admin-token';

export interface FirstAdminParts {
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly dataDir: string;
  readonly caKeyHash: Buffer;
  readonly random: RandomBytes;
  readonly clock: Clock;
}

/**
 * On a store without operators, makes the first admin and leaves the token in a 0600 file. The file is durable before
 * the record is: a crash in between leaves a token that opens nothing, and the next start makes another.
 */
export async function ensureFirstAdmin(parts: FirstAdminParts): Promise<void> {
  if (await hasOperators(parts.committed.secrets)) return;
  const admin = newOperator('admin', parts);
  await replaceFile(join(parts.dataDir, ADMIN_TOKEN_FILE), Buffer.from(`${admin.tokenText}\n`, 'ascii'));
  await parts.unitOfWork.run((unit) => admin.record(unit));
}

import { ClientError } from '../../client/client-error.js';
import { type AtomicOutput, writeAtomically } from '../atomic-output.js';

/** {@link writeAtomically} for a path that a person named. Throws `failed` when it cannot be written. */
export async function writeOutFile(
  path: string,
  fill: (output: AtomicOutput) => Promise<void>,
): Promise<void> {
  try {
    await writeAtomically(path, fill);
  } catch (cause) {
    const code = fileErrorCode(cause);
    if (code === undefined) throw cause;
    throw new ClientError('failed', 'AUDIT_FILE_UNWRITABLE', `${path} cannot be written (${code})`, {
      advice: 'name a file with --out in a directory that is there and that you may write',
      cause,
    });
  }
}

/** Errors of the file system name the call that failed; those of the network come as errors of the client. */
function fileErrorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error && 'syscall' in error))
    return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

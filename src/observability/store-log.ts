import type { Store } from '../database/open-store.js';
import type { DataKeyObserver } from '../store/data-key-change.js';
import type { Logger } from './logger.js';

/** Says which file opened the store when that asks for a change of the settings or of files. */
export function logKeyInForce(logger: Logger, { keyring: { inForce } }: Store): void {
  const { path, role, isBeside } = inForce;
  if (role === 'current' && !isBeside) return;
  const file = { event: 'store_key', file: path, role, isBeside };
  logger.warn(
    file,
    isBeside
      ? 'the key that opens the store could not be put into its place: move it there'
      : 'the new key opens the store: name it with PALYRA_STORE_KEY_FILE or PALYRA_STORE_PASSPHRASE_FILE',
  );
}

/** Changes of the data key go on when nobody asks; the log says what became of them. */
export function dataKeyLog(logger: Logger): DataKeyObserver {
  return {
    started(isResumed) {
      logger.info({ event: 'store_data_rekey', isResumed }, 'sealing all records under a new data key');
    },
    ended({ resealed, findings, finished }) {
      const fields = { event: 'store_data_rekeyed', resealed, finished, findings };
      if (findings.length > 0) {
        logger.error(fields, 'records do not open: the old data key stays until they are mended');
      } else {
        logger.info(fields, finished ? 'the old data key is gone' : 'the next start goes on');
      }
    },
    failed(error) {
      logger.error({ event: 'store_data_rekey_failed', err: error }, 'the old data key is still in use');
    },
  };
}

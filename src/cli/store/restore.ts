import { masterKeySources } from '../../config/master-key-sources.js';
import { type Restored, restoreStore } from '../../store/restore-store.js';
import type { CliContext } from '../cli-context.js';
import type { JsonOptions } from '../command-options.js';
import { serviceSettings } from '../service-settings.js';
import { counted } from '../terminal/counted.js';
import type { Output } from '../terminal/output.js';
import {
  laterObject,
  readLaterDecisions,
  showLaterDecisions,
  type VerifiedLater,
} from './later-decisions.js';

export interface RestoreCommandOptions extends JsonOptions {
  readonly config?: string;
  readonly auditExport?: string;
  readonly newAdminToken?: boolean;
}

/** `palyra store restore`: with the settings of the service that is to run on it. */
export async function restoreFromBackup(
  context: CliContext,
  backup: string,
  options: RestoreCommandOptions,
): Promise<void> {
  process.umask(0o077);
  const output = context.output(options);
  const { settings } = serviceSettings(context, output, options.config);
  const { auditExport } = options;
  let later: VerifiedLater | undefined;
  const restored = await restoreStore({
    dataDir: settings.store.dataDir,
    backup,
    ...masterKeySources(settings.store),
    clock: context.clock,
    endOperators: options.newAdminToken ?? false,
    readLater: async (trust) => {
      if (auditExport === undefined) return 0;
      later = await readLaterDecisions(auditExport, trust);
      return later.head.epoch;
    },
  });
  show(output, settings.store.dataDir, restored, later);
  tellSteps(output, options);
}

function show(output: Output, dataDir: string, restored: Restored, later: VerifiedLater | undefined): void {
  const { backup, epoch, droppedCodes, droppedRequests, endedOperators, findings } = restored;
  for (const { record, reason } of findings) {
    output.warning('RECORD_DAMAGED', `the record ${record} of the backup does not open (${reason})`);
  }
  output.object({
    dataDir,
    store: backup.storeId.toString('hex'),
    epoch,
    backup: { epoch: backup.epoch, sequence: backup.sequence, hash: backup.hash.toString('hex') },
    droppedCodes,
    droppedRequests,
    endedOperators,
    findings,
    ...(later === undefined ? {} : laterObject(later)),
  });
  output.fields([
    ['store', `${backup.storeId.toString('hex')} in ${dataDir}`],
    ['backup', `epoch ${backup.epoch}, sequence ${backup.sequence}`],
    ['new epoch', String(epoch)],
    [
      'dropped',
      [
        counted(droppedCodes, 'code'),
        counted(droppedRequests, 'pending request'),
        counted(endedOperators, 'operator token'),
      ].join(', '),
    ],
  ]);
  if (later !== undefined) showLaterDecisions(output, later);
}

function tellSteps(output: Output, { auditExport, newAdminToken }: RestoreCommandOptions): void {
  output.line();
  output.line('The store is in quarantine: no device is admitted, paired or renewed.');
  output.line(
    newAdminToken === true
      ? '1. start the service: palyra serve; it writes a new admin token to admin-token in the data directory'
      : '1. start the service: palyra serve; the operator tokens of the time of the backup are good',
  );
  output.line(
    auditExport === undefined
      ? '2. revoke again what was revoked since the backup (palyra store redo, if there is an audit export)'
      : '2. revoke again what was revoked since: palyra store redo --audit-export <path>, the rest by hand',
  );
  output.line('3. end the quarantine: palyra store confirm');
}

import type { Command } from 'commander';
import type { CliContext } from '../cli-context.js';
import { type OperatorOptions, withJson, withOperator } from '../command-options.js';
import type { BackupOptions } from './backup.js';
import type { RedoOptions } from './redo.js';
import type { RestoreCommandOptions } from './restore.js';

export function addBackupCommands(store: Command, context: CliContext): void {
  withOperator(store.command('backup'))
    .description('copy the running store to a file; the store key is not in it')
    .requiredOption('--out <path>', 'the file to write; never one that is there')
    .action(async (options: BackupOptions) => {
      const { backupStore } = await import('./backup.js');
      await backupStore(context, options);
    });
  withJson(store.command('restore <backup>'))
    .description('make a store of a backup, in quarantine; needs no service')
    .option('--config <path>', 'settings file (./palyra.yaml if there is one)')
    .option('--audit-export <path>', 'list what this audit export says was withdrawn since the backup')
    .option('--new-admin-token', 'end the operator tokens of the backup; the next start writes a new one')
    .action(async (backup: string, options: RestoreCommandOptions) => {
      const { restoreFromBackup } = await import('./restore.js');
      await restoreFromBackup(context, backup, options);
    });
  withOperator(store.command('redo'))
    .description('after a restore: revoke again what an audit export says was revoked since the backup')
    .requiredOption('--audit-export <path>', 'an audit export that was made after the backup')
    .action(async (options: RedoOptions) => {
      const { redoWithdrawals } = await import('./redo.js');
      await redoWithdrawals(context, options);
    });
  withOperator(store.command('confirm'))
    .description('after a restore: end the quarantine')
    .option('--reason <text>', 'why; kept in the audit log')
    .action(async (options: OperatorOptions & { reason?: string }) => {
      const { confirmRestore } = await import('./confirm.js');
      await confirmRestore(context, options);
    });
}

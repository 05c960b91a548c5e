import type { Command } from 'commander';
import type { CliContext } from '../cli-context.js';
import { withOperator } from '../command-options.js';
import { addBackupCommands } from './backup-commands.js';
import type { PruneOptions } from './prune.js';
import type { RekeyOptions } from './rekey.js';
import type { VerifyOptions } from './verify.js';

export function addStoreCommands(program: Command, context: CliContext): void {
  const store = program.command('store').description('the store of the service: its keys and records');
  addRekey(store, context);
  addVerify(store, context);
  addPrune(store, context);
  addBackupCommands(store, context);
}

function addRekey(store: Command, context: CliContext): void {
  withOperator(store.command('rekey'))
    .description('change the key that opens the store, or (--data) the key of its records')
    .option('--prepared', 'take the new key from the host of the service, instead of making one')
    .option('--data', 'seal all records under a new data key, while the service serves')
    .option('--reason <text>', 'why; kept in the audit log')
    .action(async (options: RekeyOptions) => {
      const { rekeyStore } = await import('./rekey.js');
      await rekeyStore(context, options);
    });
}

function addVerify(store: Command, context: CliContext): void {
  withOperator(store.command('verify'))
    .description('open every sealed record and name all that do not open')
    .option('--offline', 'without the service, which must not run; also for a store that it cannot start on')
    .option('--config <path>', 'with --offline: settings file (./palyra.yaml if there is one)')
    .action(async (options: VerifyOptions) => {
      const { verifyStore } = await import('./verify.js');
      await verifyStore(context, options);
    });
}

function addPrune(store: Command, context: CliContext): void {
  withOperator(store.command('prune'))
    .description('remove now what has served its time; the service also does by itself')
    .option('--dry-run', 'only say what would go')
    .action(async (options: PruneOptions) => {
      const { pruneStore } = await import('./prune.js');
      await pruneStore(context, options);
    });
}

import type { Command } from 'commander';
import type { CliContext } from '../cli-context.js';
import { addBackupCommands } from './backup-commands.js';
import { type OperatorOptions, withOperator } from '../command-options.js';

export function addStoreCommands(program: Command, context: CliContext): void {
  const store = program.command('store').description('the store of the service: its keys and records');
  addVerify(store, context);
  addBackupCommands(store, context);
}

function addVerify(store: Command, context: CliContext): void {
  withOperator(store.command('verify'))
    .description('open every sealed record and name all that do not open')
    .action(async (options: OperatorOptions) => {
      const { verifyStore } = await import('./verify.js');
      await verifyStore(context, options);
    });
}

import type { Command } from 'commander';
import type { CliContext } from '../cli-context.js';
import { type OperatorOptions, withOperator } from '../command-options.js';
import type { ClockConfirmOptions } from './confirm.js';

export function addClockCommands(program: Command, context: CliContext): void {
  const clock = program.command('clock').description('the clock of the service, and whether it is believed');
  withOperator(clock.command('show'))
    .description('what the clock of the service says, and whether it is believed')
    .action(async (options: OperatorOptions) => {
      const { showClock } = await import('./show.js');
      await showClock(context, options);
    });
  withOperator(clock.command('confirm'))
    .description('say that the clock of the service is right, so that it issues again')
    .option('--reason <text>', 'why; kept in the audit log')
    .option('--ignore-own-clock', 'do not compare it with the clock of this machine')
    .action(async (options: ClockConfirmOptions) => {
      const { confirmClock } = await import('./confirm.js');
      await confirmClock(context, options);
    });
}

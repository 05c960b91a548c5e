import type { Command } from 'commander';
import type { CliContext } from '../cli-context.js';
import { type OperatorOptions, withOperator } from '../command-options.js';
import type { RotateOptions } from './rotate.js';
import type { RootStepOptions } from './root-steps.js';

export function addCaCommands(program: Command, context: CliContext): void {
  const ca = program.command('ca').description('the roots of the cluster, and their rotation');
  withOperator(ca.command('show'))
    .description('show all roots and how far a rotation is')
    .action(async (options: OperatorOptions) => {
      const { showRoots } = await import('./show.js');
      await showRoots(context, options);
    });
  addSteps(ca, context);
  addCompromise(ca, context);
}

function addSteps(ca: Command, context: CliContext): void {
  withReason(ca.command('prepare'))
    .description('first step of a rotation: a new root that is trusted and signs nothing yet')
    .action(async (options: RootStepOptions) => {
      const { prepareRoot } = await import('./root-steps.js');
      await prepareRoot(context, options);
    });
  withReason(ca.command('activate [key-id]'))
    .description('second step: the prepared root signs from now on')
    .action(async (keyId: string | undefined, options: RootStepOptions) => {
      const { activateRoot } = await import('./root-steps.js');
      await activateRoot(context, keyId ?? '', options);
    });
  withReason(ca.command('retire [key-id]'))
    .description('last step, once nothing leans on the old root: it is not trusted any more')
    .action(async (keyId: string | undefined, options: RootStepOptions) => {
      const { retireRoot } = await import('./root-steps.js');
      await retireRoot(context, keyId ?? '', options);
    });
}

function addCompromise(ca: Command, context: CliContext): void {
  withReason(ca.command('rotate'))
    .description('after a compromise: put a new root into the place of all others, at once')
    .option('--compromised', 'yes: devices must pair again, and operators need new tokens')
    .action(async (options: RotateOptions) => {
      const { rotateCompromised } = await import('./rotate.js');
      await rotateCompromised(context, options);
    });
  withOperator(ca.command('devices-to-pair'))
    .description('list the devices that must pair again, since the root that they know is gone')
    .action(async (options: OperatorOptions) => {
      const { listDevicesToPair } = await import('./devices-to-pair.js');
      await listDevicesToPair(context, options);
    });
}

function withReason(command: Command): Command {
  return withOperator(command).option('--reason <text>', 'why; kept in the audit log');
}

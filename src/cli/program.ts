import { Command } from 'commander';
import { VERSION } from '../version.js';
import { addAuditCommands } from './audit/audit-commands.js';
import { addCertificatesCommands } from './certificates/certificates-commands.js';
import { addCaCommands } from './ca/ca-commands.js';
import type { CliContext } from './cli-context.js';
import { addClockCommands } from './clock/clock-commands.js';
import { type JsonOptions, type OperatorOptions, withJson, withOperator } from './command-options.js';
import { addDevicesCommands } from './devices/devices-commands.js';
import { addNodeCommands } from './node/node-commands.js';
import { addPairingCommands } from './pairing/pairing-commands.js';
import { addStoreCommands } from './store/store-commands.js';

/** All commands, without what they do: each loads its own file when it runs, so that `--help` is quick. */
export function buildProgram(context: CliContext): Command {
  const program = new Command('palyra');
  program.description('Identity for the nodes and clients of a cluster: pairing, certificates, revocation');
  program.version(VERSION, '--version', 'version of this program');
  program.helpCommand(false).showHelpAfterError(false);
  addServe(program, context);
  addConfig(program, context);
  addPairingCommands(program, context);
  addDevicesCommands(program, context);
  addCertificatesCommands(program, context);
  addCaCommands(program, context);
  addAuditCommands(program, context);
  addStoreCommands(program, context);
  addClockCommands(program, context);
  addNodeCommands(program, context);
  addStatus(program, context);
  return program;
}

function addServe(program: Command, context: CliContext): void {
  program
    .command('serve')
    .description('run the service')
    .option('--config <path>', 'settings file (./palyra.yaml if there is one)')
    .action(async (options: { config?: string }) => {
      const { serve } = await import('./serve.js');
      await serve(context, options);
    });
}

function addConfig(program: Command, context: CliContext): void {
  const config = program.command('config').description('settings of the service');
  withJson(config.command('check'))
    .description('check the settings and show what is in force; secrets are not shown')
    .option('--config <path>', 'settings file (./palyra.yaml if there is one)')
    .action(async (options: JsonOptions & { config?: string }) => {
      const { checkConfig } = await import('./config-check.js');
      checkConfig(context, options);
    });
}

function addStatus(program: Command, context: CliContext): void {
  withOperator(program.command('status'))
    .description('what the service is and how it does')
    .action(async (options: OperatorOptions) => {
      const { showStatus } = await import('./status.js');
      await showStatus(context, options);
    });
}

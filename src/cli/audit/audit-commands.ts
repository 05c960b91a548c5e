import type { Command } from 'commander';
import type { CliContext } from '../cli-context.js';
import { withJson, withOperator } from '../command-options.js';
import type { ExportOptions } from './export.js';
import type { HeadOptions } from './head.js';
import type { AuditListOptions } from './list.js';
import type { VerifyOptions } from './verify.js';

export function addAuditCommands(program: Command, context: CliContext): void {
  const audit = program
    .command('audit')
    .description('the log of every decision: read it, keep it, verify it');
  addReading(audit, context);
  addKeeping(audit, context);
  addVerify(audit, context);
}

function addReading(audit: Command, context: CliContext): void {
  withOperator(audit.command('list'))
    .description('list the newest entries of the audit log')
    .option('--limit <number>', 'at most so many; 50 if left out')
    .option('--action <text>', 'only actions that begin with this, for example device.')
    .option('--subject <text>', 'only entries about this, for example device/<id>')
    .action(async (options: AuditListOptions) => {
      const { listAudit } = await import('./list.js');
      await listAudit(context, options);
    });
}

function addKeeping(audit: Command, context: CliContext): void {
  withOperator(audit.command('export'))
    .description('write the audit log and its signed head to a file')
    .requiredOption('--out <path>', 'the file to write, or to replace')
    .option('--since-file <path>', 'only what came after this earlier export or kept head')
    .option('--after <sequence>', 'only entries behind this one')
    .action(async (options: ExportOptions) => {
      const { exportAudit } = await import('./export.js');
      await exportAudit(context, options);
    });
  withOperator(audit.command('head'))
    .description('show the signed head with the audit key, to be kept elsewhere')
    .option('--out <path>', 'write it to this file instead')
    .action(async (options: HeadOptions) => {
      const { keepHead } = await import('./head.js');
      await keepHead(context, options);
    });
}

function addVerify(audit: Command, context: CliContext): void {
  withJson(audit.command('verify <file>'))
    .description('verify an audit export; needs no service')
    .option('--since <path>', 'an older head that was kept elsewhere: a kept head or an earlier export')
    .option('--key <key>', 'audit public key in hex or base64, as palyra status shows it')
    .option('--store <id>', 'store that it must be of, in hex, as palyra status shows it')
    .action(async (file: string, options: VerifyOptions) => {
      const { verifyAudit } = await import('./verify.js');
      await verifyAudit(context, file, options);
    });
}

import type { Command } from 'commander';
import type { CliContext } from '../cli-context.js';
import { withOperator } from '../command-options.js';
import type { CertificateListOptions } from './list.js';

export function addCertificatesCommands(program: Command, context: CliContext): void {
  const certificates = program.command('certificates').description('certificates that were issued');
  withOperator(certificates.command('list'))
    .description('list certificates, what ends first in front')
    .option('--state <state>', 'valid, expired, revoked or all (valid)')
    .option('--device <device-id>', 'only those of this device')
    .option('--expires-within <duration>', 'only those that end within this time from now, for example 7d')
    .option('--limit <count>', 'no more than this many')
    .action(async (options: CertificateListOptions) => {
      const { listCertificates } = await import('./list.js');
      await listCertificates(context, options);
    });
}

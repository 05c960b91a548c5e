import type { Command } from 'commander';
import type { CliContext } from '../cli-context.js';
import { type OperatorOptions, withJson, withOperator } from '../command-options.js';
import type { ApproveOptions } from './approve.js';
import type { CodeOptions } from './code.js';
import type { ListOptions } from './list.js';
import type { PairOptions } from './pair.js';
import type { WatchOptions } from './watch.js';

export function addPairingCommands(program: Command, context: CliContext): void {
  const pairing = program.command('pairing').description('let devices in: codes, requests, decisions');
  addCodes(pairing, context);
  addRequests(pairing, context);
  addDecisions(pairing, context);
  addPair(pairing, context);
}

interface ReasonOptions extends OperatorOptions {
  readonly reason?: string;
}

function addCodes(pairing: Command, context: CliContext): void {
  withOperator(pairing.command('code'))
    .description('mint a pairing code; it is shown this once')
    .option('--ttl <duration>', 'how long it lives (PIN: 10m, at most 1h; link: at most 24h)')
    .option('--link', 'a link with a long secret instead of a PIN')
    .option('--link-endpoint <host:port>', 'gRPC endpoint to write into the link')
    .option('--qr', 'draw the link as a QR code')
    .option('--qr-file <path>', 'draw the link into a new .svg or .png file that only you can read')
    .option('--uses <number>', 'how many devices may pair with the link, at most 10000; 1 if left out')
    .option('--pre-approved', 'approve each use of the link at once, as your decision')
    .option('--client-kind <kinds>', 'only for these kinds of client, separated by commas')
    .option('--device-ids <pattern>', 'only for device ids that match; * is any run of characters, ? is one')
    .action(async (options: CodeOptions) => {
      const { mintCode } = await import('./code.js');
      await mintCode(context, options);
    });
  withOperator(pairing.command('codes'))
    .description('list live codes, without their secrets')
    .action(async (options: OperatorOptions) => {
      const { listCodes } = await import('./codes.js');
      await listCodes(context, options);
    });
  withOperator(pairing.command('withdraw <code-id>'))
    .description('end a live code')
    .option('--reason <text>', 'why; kept in the audit log')
    .action(async (codeId: string, options: ReasonOptions) => {
      const { withdrawCode } = await import('./withdraw.js');
      await withdrawCode(context, codeId, options);
    });
}

function addRequests(pairing: Command, context: CliContext): void {
  withOperator(pairing.command('list'))
    .description('list pairing requests, newest first')
    .option('--state <state>', 'only pending_approval, approved, completed, rejected or expired')
    .option('--client-kind <kind>', 'only from this kind of client')
    .option('--code <code-id>', 'only what came with this code')
    .option('--min-age <duration>', 'only those begun at least so long ago')
    .option('--max-age <duration>', 'only those begun at most so long ago')
    .action(async (options: ListOptions) => {
      const { listRequests } = await import('./list.js');
      await listRequests(context, options);
    });
  withOperator(pairing.command('watch'))
    .description('show the requests that wait, and then each that changes')
    .option('--after <sequence>', 'only changes behind this sequence, which an earlier watch told')
    .action(async (options: WatchOptions) => {
      const { watchRequests } = await import('./watch.js');
      await watchRequests(context, options);
    });
  withOperator(pairing.command('show <request-id>'))
    .description('show one request with the words to compare')
    .action(async (requestId: string, options: OperatorOptions) => {
      const { showRequest } = await import('./show.js');
      await showRequest(context, requestId, options);
    });
}

function addDecisions(pairing: Command, context: CliContext): void {
  withOperator(pairing.command('approve <request-id>'))
    .description('let the device in; compare its words first')
    .option('--reason <text>', 'why; kept in the audit log')
    .option('--replace-identity', 'the device id is known with another key: end that identity')
    .action(async (requestId: string, options: ApproveOptions) => {
      const { approveRequest } = await import('./approve.js');
      await approveRequest(context, requestId, options);
    });
  withOperator(pairing.command('reject <request-id>'))
    .description('keep the device out')
    .option('--reason <text>', 'why; shown to the device and kept in the audit log')
    .action(async (requestId: string, options: ReasonOptions) => {
      const { rejectRequest } = await import('./reject.js');
      await rejectRequest(context, requestId, options);
    });
}

function addPair(pairing: Command, context: CliContext): void {
  withJson(pairing.command('pair'))
    .description('pair this device; asks for the code or link without showing it')
    .option('--endpoint <host:port>', 'gRPC endpoint (that of the link; PALYRA_ENDPOINT; 127.0.0.1:7443)')
    .option('--device-dir <path>', 'device store (PALYRA_DEVICE_DIR; ~/.palyra/device)')
    .option('--proof-stdin', 'read the code or link as one line from stdin')
    .option('--proof <code>', 'the code or link itself; others on this machine can read it')
    .option('--allow-insecure-proof-arg', 'needed with --proof')
    .option('--kind <kind>', 'cli, desktop, mobile or node', 'node')
    .option('--new-identity', 'make a new identity key for this device id')
    .option('--timeout <duration>', 'stop waiting for the decision after this long, for example 10m')
    .action(async (options: PairOptions) => {
      const { pair } = await import('./pair.js');
      await pair(context, options);
    });
}

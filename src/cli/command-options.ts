import type { Command } from 'commander';

export interface JsonOptions {
  readonly json?: boolean;
}

/** Options of every command that an operator runs. */
export interface OperatorOptions extends JsonOptions {
  readonly endpoint?: string;
  readonly tokenFile?: string;
  readonly timeout?: string;
}

export function withJson(command: Command): Command {
  return command.option('--json', 'JSON for scripts, instead of text');
}

export function withOperator(command: Command): Command {
  return withJson(command)
    .option('--endpoint <host:port>', 'gRPC endpoint (PALYRA_ENDPOINT; 127.0.0.1:7443)')
    .option('--token-file <path>', 'operator token (PALYRA_TOKEN_FILE; admin-token in the data directory)')
    .option('--timeout <duration>', 'give up after this long, for example 10s');
}

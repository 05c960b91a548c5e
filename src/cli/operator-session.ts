import { join } from 'node:path';
import { requireEndpoint } from '../client/grpc/endpoint.js';
import { OperatorClient } from '../client/operator-client.js';
import { readTokenFile } from '../client/operator-credential.js';
import type { StoreTime } from '../database/unit-of-work.js';
import type { CliContext } from './cli-context.js';
import type { OperatorOptions } from './command-options.js';
import { DEFAULT_ENDPOINT } from './default-endpoint.js';
import { startDeadline } from './deadline.js';
import { environmentText } from './environment-text.js';
import { StoreMemory } from './store-memory.js';
import { fallText } from './store-time-text.js';
import type { Output } from './terminal/output.js';

/** What a command of an operator works with. */
export interface OperatorSession {
  readonly client: OperatorClient;
  readonly output: Output;
  /** Unix milliseconds. */
  readonly now: number;
}

const DEFAULT_CALL_MS = 30_000;

/** Finds server and token (docs/protocol.md, "Settings, files, commands"), connects, works and hangs up. */
export async function withOperatorSession(
  context: CliContext,
  options: OperatorOptions,
  work: (session: OperatorSession) => Promise<void>,
): Promise<void> {
  const output = context.output(options);
  const deadline = startDeadline(context, options.timeout);
  try {
    const endpoint = requireEndpoint(
      options.endpoint ?? environmentText(context, 'PALYRA_ENDPOINT') ?? DEFAULT_ENDPOINT,
    );
    const credential = await readTokenFile(tokenPath(context, options));
    const memory = StoreMemory.of(context, credential.ca, (text) => {
      output.warning('STORE_MEMORY', text);
    });
    const client = await OperatorClient.connect(endpoint, credential, {
      timeoutMs: deadline.timeoutMs ?? DEFAULT_CALL_MS,
      signal: deadline.signal,
      knownStoreTime: await memory.read(),
      onStoreTimeFell: warnOnce(output, memory),
    });
    try {
      await work({ client, output, now: context.clock.now() });
    } finally {
      client.close();
      if (client.storeTime !== undefined) await memory.raise(client.storeTime);
    }
  } finally {
    deadline.clear();
  }
}

/** However many answers of a command are too old, it says so once. */
function warnOnce(output: Output, memory: StoreMemory): (known: StoreTime, seen: StoreTime) => void {
  let warned = false;
  return (known, seen) => {
    if (warned) return;
    warned = true;
    output.warning('STORE_TIME_FELL', `${fallText(known, seen)} (remembered in ${memory.path})`);
  };
}

function tokenPath(context: CliContext, options: OperatorOptions): string {
  const named = options.tokenFile ?? environmentText(context, 'PALYRA_TOKEN_FILE');
  if (named !== undefined) return named;
  return join(environmentText(context, 'PALYRA_DATA_DIR') ?? './palyra-data', 'admin-token');
}

import { join } from 'node:path';
import { requireEndpoint } from '../client/grpc/endpoint.js';
import { OperatorClient } from '../client/operator-client.js';
import { readTokenFile } from '../client/operator-credential.js';
import type { CliContext } from './cli-context.js';
import type { OperatorOptions } from './command-options.js';
import { DEFAULT_ENDPOINT } from './default-endpoint.js';
import { startDeadline } from './deadline.js';
import { environmentText } from './environment-text.js';
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
    const client = await OperatorClient.connect(endpoint, await readTokenFile(tokenPath(context, options)), {
      timeoutMs: deadline.timeoutMs ?? DEFAULT_CALL_MS,
      signal: deadline.signal,
      onStoreTimeFell: () => {
        output.warning(
          'STORE_TIME_FELL',
          'the store of the service is older than before: somebody put an old copy back, and later decisions ' +
            '(revocations too) are undone',
        );
      },
    });
    try {
      await work({ client, output, now: context.clock.now() });
    } finally {
      client.close();
    }
  } finally {
    deadline.clear();
  }
}

function tokenPath(context: CliContext, options: OperatorOptions): string {
  const named = options.tokenFile ?? environmentText(context, 'PALYRA_TOKEN_FILE');
  if (named !== undefined) return named;
  return join(environmentText(context, 'PALYRA_DATA_DIR') ?? './palyra-data', 'admin-token');
}

import { setTimeout } from 'node:timers/promises';
import { ClientError } from '../../client/client-error.js';
import type { CliContext } from '../cli-context.js';
import { type NodeOptions, type NodeSession, resultFields, withNodeSession } from './node-session.js';

export interface NodeHealthOptions extends NodeOptions {
  readonly watch?: boolean;
}

/** With `--watch`: how long after one answer the next is asked for, milliseconds. */
const WATCH_INTERVAL_MS = 1_000;

/** `palyra node health`: asks once, or with `--watch` on one connection until that ends. */
export async function nodeHealth(context: CliContext, options: NodeHealthOptions): Promise<void> {
  await withNodeSession(context, options, async (session) => {
    await showHealth(session);
    if (options.watch === true) await watchHealth(session);
  });
}

/** Never returns by itself: it ends with the connection, and says how that ended. */
async function watchHealth(session: NodeSession): Promise<never> {
  const { client, signal } = session;
  const closed = client.closed.then(({ error }) => {
    throw error;
  });
  for (;;) {
    await Promise.race([closed, setTimeout(WATCH_INTERVAL_MS, undefined, { signal })]);
    await showHealth(session);
  }
}

async function showHealth({ output, certificate, endpoint, client, signal }: NodeSession): Promise<void> {
  const response = await client.health({ signal });
  output.object(response);
  output.fields([
    ['endpoint', endpoint.text],
    ['device', certificate.deviceId],
    ['ok', String(response.ok)],
    ...resultFields(response.result ?? {}),
  ]);
  if (response.ok) return;
  throw new ClientError('failed', 'NODE_RPC', `node.health failed: ${response.error ?? 'no reason'}`);
}

import { ClientError } from '../../client/client-error.js';
import { bundleSchema } from '../../client/device/bundle-message.js';
import { keepBundle } from '../../client/device/bundle-refresh.js';
import { DeviceStore } from '../../client/device/device-store.js';
import { notPaired } from '../../client/device/not-paired.js';
import { systemRandomBytes } from '../../random/random-bytes.js';
import type { CliContext } from '../cli-context.js';
import { readCount } from '../number-option.js';
import {
  type NodeOptions,
  type NodeSession,
  resultFields,
  resultOf,
  withNodeSession,
} from './node-session.js';

export interface NodeEventsOptions extends NodeOptions {
  readonly resumeFrom?: string;
}

/**
 * `palyra node events`: tells what was decided about this device, and what comes, until the connection ends. A change of
 * the trust bundle is taken over, as it would be at the next renewal.
 */
export async function nodeEvents(context: CliContext, options: NodeEventsOptions): Promise<void> {
  const resumeFrom = options.resumeFrom === undefined ? 0 : readCount('--resume-from', options.resumeFrom);
  await withNodeSession(context, options, async (session) => follow(session, resumeFrom));
}

async function follow(session: NodeSession, resumeFrom: number): Promise<void> {
  const { client, output, signal } = session;
  for await (const response of client.stream('node.stream_events', { resumeFrom, signal })) {
    const { type, time_ms: timeMs, ...details } = { type: '', time_ms: 0, ...resultOf(response) };
    output.object({ seq: response.seq, type, timeMs, ...details });
    const further = resultFields(details).map(([name, value]) => `${name} ${value}`);
    output.line([String(response.seq), new Date(timeMs).toISOString(), type, ...further].join('  '));
    if (type === 'bundle_changed') await refreshBundle(session);
  }
}

async function refreshBundle({ client, output, directory, signal }: NodeSession): Promise<void> {
  const bundle = bundleSchema.safeParse(resultOf(await client.call('node.trust_bundle', { signal })));
  if (!bundle.success) {
    throw new ClientError(
      'failed',
      'INVALID_RESPONSE',
      'the server answered node.trust_bundle in a form of its own',
    );
  }
  const store = await DeviceStore.open(directory, systemRandomBytes);
  if (store === undefined) throw notPaired(directory);
  try {
    const { storeTimeFell } = await keepBundle(store, bundle.data, directory);
    if (!storeTimeFell) return;
    output.warning(
      'STORE_TIME_FELL',
      'the store of the service is older than this device has seen it: tell an operator',
    );
  } finally {
    store.close();
  }
}

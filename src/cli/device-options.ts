import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { CliContext } from './cli-context.js';
import { environmentText } from './environment-text.js';

/** The device store: `--device-dir`, PALYRA_DEVICE_DIR, or `~/.palyra/device`. */
export function deviceDirectory(context: CliContext, options: { readonly deviceDir?: string }): string {
  const named = options.deviceDir ?? environmentText(context, 'PALYRA_DEVICE_DIR');
  return resolve(named ?? join(homedir(), '.palyra', 'device'));
}

import { loadSettings } from '../config/settings-file.js';
import type { CliContext } from './cli-context.js';

/** `palyra serve`: runs the service until SIGINT or SIGTERM. */
export async function serve(context: CliContext, options: { readonly config?: string }): Promise<void> {
  const loaded = loadSettings(options.config, { ...context.environment });
  const output = context.output({});
  for (const warning of loaded.warnings) output.warning('SETTINGS', warning);
  const { runService } = await import('../main.js');
  await runService(loaded.settings);
}

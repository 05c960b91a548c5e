import { describeSettings, formatSettings } from '../config/settings-description.js';
import { loadSettings } from '../config/settings-file.js';
import type { CliContext } from './cli-context.js';
import type { JsonOptions } from './command-options.js';

/** `palyra config check`. Throws `SettingsError` with all problems. */
export function checkConfig(context: CliContext, options: JsonOptions & { readonly config?: string }): void {
  const output = context.output(options);
  const loaded = loadSettings(options.config, { ...context.environment });
  for (const warning of loaded.warnings) output.warning('SETTINGS', warning);
  const settings = describeSettings(loaded);
  output.object({ settings });
  for (const line of formatSettings(settings).split('\n')) output.line(line);
}

import { type LoadedSettings, SettingsError } from '../config/settings.js';
import { loadSettings } from '../config/settings-file.js';
import type { CliContext } from './cli-context.js';
import type { Output } from './terminal/output.js';

/** The settings of the service. Warns of what does not stop it, also when it throws `SettingsError` with all problems. */
export function serviceSettings(
  context: CliContext,
  output: Output,
  configFile: string | undefined,
): LoadedSettings {
  try {
    const loaded = loadSettings(configFile, { ...context.environment });
    warn(output, loaded.warnings);
    return loaded;
  } catch (error) {
    if (error instanceof SettingsError) warn(output, error.warnings);
    throw error;
  }
}

function warn(output: Output, warnings: readonly string[]): void {
  for (const warning of warnings) output.warning('SETTINGS', warning);
}

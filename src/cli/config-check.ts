import { describeSettings, formatSettings } from '../config/settings-description.js';
import type { CliContext } from './cli-context.js';
import type { JsonOptions } from './command-options.js';
import { serviceSettings } from './service-settings.js';

/** `palyra config check`. Throws `SettingsError` with all problems. */
export function checkConfig(context: CliContext, options: JsonOptions & { readonly config?: string }): void {
  const output = context.output(options);
  const loaded = serviceSettings(context, output, options.config);
  const settings = describeSettings(loaded);
  output.object({ settings });
  for (const line of formatSettings(settings).split('\n')) output.line(line);
}

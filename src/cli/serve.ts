import type { CliContext } from './cli-context.js';
import { serviceSettings } from './service-settings.js';

/** `palyra serve`: runs the service until SIGINT or SIGTERM. */
export async function serve(context: CliContext, options: { readonly config?: string }): Promise<void> {
  const { settings } = serviceSettings(context, context.output({}), options.config);
  const { runService } = await import('../main.js');
  await runService(settings);
}

import type { CliContext } from './cli-context.js';

/** An environment variable; an empty one counts as none. */
export function environmentText(context: CliContext, name: string): string | undefined {
  const value = context.environment[name]?.trim();
  return value === '' ? undefined : value;
}

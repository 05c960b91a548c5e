import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Document, parseDocument } from 'yaml';
import { type LoadedSettings, SettingsError, parseSettings } from './settings.js';

/** Read when it is there and no other file is named. */
export const DEFAULT_SETTINGS_FILE = 'palyra.yaml';

/** A settings file is a page of text; whatever is larger is another file. */
const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Reads the settings of this process from its environment and from `configFile`, or from `./palyra.yaml` if there is one.
 *
 * @throws SettingsError with all problems at once, also when a file was named that cannot be read.
 */
export function loadSettings(
  configFile: string | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): LoadedSettings {
  const name = configFile ?? DEFAULT_SETTINGS_FILE;
  const content = readSettingsFile(name, configFile !== undefined);
  if (content === undefined) {
    return parseSettings({ environment });
  }
  return parseSettings({ environment, file: { name, values: parseSettingsText(name, content) } });
}

/** `undefined` when the default file is not there. */
function readSettingsFile(name: string, named: boolean): string | undefined {
  try {
    const path = resolve(name);
    if (statSync(path).size > MAX_FILE_BYTES) {
      throw new SettingsError([`${name} is larger than 1 MiB: name a settings file with --config`]);
    }
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof SettingsError) {
      throw error;
    }
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    if (code === 'ENOENT' && !named) {
      return undefined;
    }
    throw new SettingsError([
      `${name} cannot be read (${code}): make it readable, or name another with --config`,
    ]);
  }
}

/** The keys and values of a settings file, which is one YAML map. Exported for tests. */
export function parseSettingsText(name: string, content: string): Record<string, unknown> {
  const document = parseDocument(content, { prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0) {
    throw new SettingsError(
      document.errors.map((error) => `${lineOf(name, content, error.pos[0])}: ${error.message}`),
    );
  }
  const values = plainValues(name, document);
  if (values === null || values === undefined) {
    return {};
  }
  if (typeof values !== 'object' || Array.isArray(values)) {
    throw new SettingsError([`${name} must hold lines of the form \`name: value\``]);
  }
  return values as Record<string, unknown>;
}

function plainValues(name: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch {
    throw new SettingsError([`${name}: aliases are not used in settings; write the value out`]);
  }
}

function lineOf(name: string, content: string, position: number): string {
  const line = content.slice(0, position).split('\n').length;
  return `${name} line ${line}`;
}

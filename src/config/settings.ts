import { type Setting, type SettingSlice, type SliceValues, environmentName } from './setting.js';
import { slices } from './slices.js';

type Slices = typeof slices;

/** All that may be set, read once at start. Features are handed their slice. */
export type Settings = { readonly [K in keyof Slices]: SliceValues<Slices[K]> };

export type StoreSettings = Settings['store'];
export type ClusterSettings = Settings['cluster'];
export type GrpcSettings = Settings['grpc'];
export type QuicSettings = Settings['quic'];
export type HttpSettings = Settings['http'];
export type PairingSettings = Settings['pairing'];
export type RenewalSettings = Settings['renewal'];
export type ProcessSettings = Settings['process'];

export type SettingSource = 'default' | 'environment' | 'file';

/** What settings are read from. */
export interface SettingInput {
  /** Environment variables; only those that start with `PALYRA_` are looked at. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Keys and values of the YAML file, and what to call the file. */
  readonly file?: { readonly name: string; readonly values: Readonly<Record<string, unknown>> };
}

export interface LoadedSettings {
  readonly settings: Settings;
  /** Where each setting came from, by its name. */
  readonly sources: ReadonlyMap<string, SettingSource>;
  /** Things that do not stop the start. */
  readonly warnings: readonly string[];
}

/** Settings cannot be used. Every problem is in `problems`, each one line that says how to mend it. */
export class SettingsError extends Error {
  constructor(
    readonly problems: readonly string[],
    /** What else there is to say, which alone would not stop the start. */
    readonly warnings: readonly string[] = [],
  ) {
    super(`the settings cannot be used:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.name = 'SettingsError';
  }
}

/** Variables of the same prefix that belong to the clients (CLI, device). */
const CLIENT_VARIABLES = new Set(['PALYRA_ENDPOINT', 'PALYRA_TOKEN_FILE', 'PALYRA_DEVICE_DIR']);

/** Every setting, in the order in which they are documented. */
export function allSettings(): Setting<unknown>[] {
  return Object.values<SettingSlice>(slices).flatMap((slice) => Object.values(slice));
}

/**
 * Reads and checks all settings; the environment wins over the file, an empty value counts as none.
 *
 * @throws SettingsError with all problems at once.
 */
export function parseSettings(input: SettingInput): LoadedSettings {
  const reading = new Reading(input);
  const values = Object.fromEntries(
    Object.entries<SettingSlice>(slices).map(([name, slice]) => [name, reading.slice(slice)]),
  );
  reading.refuseUnknownKeys();
  const settings = values as unknown as Settings;
  if (reading.problems.length === 0) {
    reading.problems.push(...contradictions(settings));
  }
  const warnings = unknownVariables(input.environment);
  if (reading.problems.length > 0) {
    throw new SettingsError(reading.problems, warnings);
  }
  return { settings, sources: reading.sources, warnings };
}

/** One pass over all settings, which gathers what is wrong instead of stopping at the first. */
class Reading {
  readonly problems: string[] = [];
  readonly sources = new Map<string, SettingSource>();

  constructor(private readonly input: SettingInput) {}

  slice(slice: SettingSlice): Record<string, unknown> {
    return Object.fromEntries(Object.entries(slice).map(([key, setting]) => [key, this.value(setting)]));
  }

  refuseUnknownKeys(): void {
    const file = this.input.file;
    const known = new Set(allSettings().map((setting) => setting.name));
    for (const key of Object.keys(file?.values ?? {}).filter((candidate) => !known.has(candidate))) {
      this.problems.push(
        `${JSON.stringify(key)} in ${file?.name ?? ''} is no setting: remove it, or mend its spelling ` +
          '(`palyra config check` without the file lists all of them)',
      );
    }
  }

  private value(setting: Setting<unknown>): unknown {
    const found = this.written(setting);
    this.sources.set(setting.name, found.source);
    const result = setting.schema.safeParse(found.value);
    if (result.success) {
      return result.data;
    }
    for (const issue of result.error.issues) {
      this.problems.push(`${found.label}${shown(setting, found.value)}: ${issue.message}`);
    }
    return undefined;
  }

  private written(setting: Setting<unknown>): { source: SettingSource; label: string; value: unknown } {
    const variable = environmentName(setting.name);
    const fromEnvironment = this.input.environment[variable];
    if (fromEnvironment !== undefined && fromEnvironment.trim() !== '') {
      return { source: 'environment', label: variable, value: fromEnvironment };
    }
    const file = this.input.file;
    const fromFile =
      file !== undefined && Object.hasOwn(file.values, setting.name) ? file.values[setting.name] : null;
    if (file !== undefined && fromFile !== null && fromFile !== undefined && fromFile !== '') {
      return { source: 'file', label: `${setting.name} in ${file.name}`, value: fromFile };
    }
    return { source: 'default', label: variable, value: setting.fallback };
  }
}

/** The refused value, so that a person finds it; never that of a secret. */
function shown(setting: Setting<unknown>, value: unknown): string {
  if (setting.secret || value === undefined) {
    return '';
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return ` is ${JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)}`;
}

/** What each setting allows by itself and not together with another. */
function contradictions(settings: Settings): string[] {
  const problems: string[] = [];
  if (settings.store.keyFile !== undefined && settings.store.passphraseFile !== undefined) {
    problems.push('PALYRA_STORE_KEY_FILE and PALYRA_STORE_PASSPHRASE_FILE are both set: keep one of them');
  }
  if (settings.store.newKeyFile !== undefined && settings.store.newPassphraseFile !== undefined) {
    problems.push(
      'PALYRA_STORE_NEW_KEY_FILE and PALYRA_STORE_NEW_PASSPHRASE_FILE are both set: keep one of them',
    );
  }
  return problems;
}

function unknownVariables(environment: SettingInput['environment']): string[] {
  const known = new Set(allSettings().map((setting) => environmentName(setting.name)));
  return Object.keys(environment)
    .filter((name) => name.startsWith('PALYRA_') && !known.has(name) && !CLIENT_VARIABLES.has(name))
    .sort()
    .map((name) => `${name} is no setting and has no effect: unset it, or mend its spelling`);
}

import { type Setting, type SettingSlice, environmentName } from './setting.js';
import type { LoadedSettings, SettingSource } from './settings.js';
import { slices } from './slices.js';
import { type HostPort, formatHostPort } from '../network/network-address.js';

/** One setting as `palyra config check` shows it. */
export interface SettingDescription {
  readonly name: string;
  readonly environment: string;
  /** In the words a person would write; `null` when unset, `(secret)` when it must not be shown. */
  readonly value: string | null;
  readonly source: SettingSource;
  readonly about: string;
}

/** What is in force and where it came from; secrets redacted. */
export function describeSettings(loaded: LoadedSettings): SettingDescription[] {
  return Object.entries<SettingSlice>(slices).flatMap(([sliceName, slice]) => {
    const values = loaded.settings[sliceName as keyof typeof slices] as Record<string, unknown>;
    return Object.entries(slice).map(([key, setting]) => describe(setting, values[key], loaded));
  });
}

/** A table for people. */
export function formatSettings(descriptions: readonly SettingDescription[]): string {
  const rows = descriptions.map((row) => [row.environment, row.value ?? '(unset)', row.source] as const);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      ([name, value, source]) => `${name.padEnd(widths[0] ?? 0)}  ${value.padEnd(widths[1] ?? 0)}  ${source}`,
    )
    .join('\n');
}

function describe(setting: Setting<unknown>, value: unknown, loaded: LoadedSettings): SettingDescription {
  return {
    name: setting.name,
    environment: environmentName(setting.name),
    value: shownValue(setting, value),
    source: loaded.sources.get(setting.name) ?? 'default',
    about: setting.about,
  };
}

function shownValue(setting: Setting<unknown>, value: unknown): string | null {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) {
    return null;
  }
  return setting.secret ? '(secret)' : written(setting, value);
}

/** Numbers are shown with the unit they were written in, as far as it divides them. */
function written(setting: Setting<unknown>, value: unknown): string {
  if (Array.isArray(value)) {
    return value.map((item) => written(setting, item)).join(',');
  }
  if (typeof value === 'number') {
    return withUnit(setting, value);
  }
  return isHostPort(value) ? formatHostPort(value) : String(value);
}

const UNITS: Readonly<Record<string, readonly (readonly [string, number])[]>> = {
  time: [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
    ['ms', 1],
  ],
  size: [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
    ['B', 1],
  ],
  count: [['', 1]],
};

function withUnit(setting: Setting<unknown>, value: number): string {
  const unit = /[A-Za-z]+$/.exec(setting.fallback ?? '')?.[0] ?? '';
  const kind = unit === '' ? 'count' : unit.endsWith('B') ? 'size' : 'time';
  const largest = UNITS[kind]?.find(([, factor]) => value >= factor && value % factor === 0);
  return largest === undefined ? `${value}${unit}` : `${value / largest[1]}${largest[0]}`;
}

function isHostPort(value: unknown): value is HostPort {
  return typeof value === 'object' && value !== null && 'host' in value && 'port' in value;
}

import type { z } from 'zod';

/** One thing that people may set, by `PALYRA_<NAME>` or as `<name>` in `palyra.yaml`. */
export interface Setting<T> {
  /** Lower case with underscores, as it stands in the file. */
  readonly name: string;
  /** Reads what was written: text from the environment; text, numbers, booleans or lists from the file. */
  readonly schema: z.ZodType<T>;
  /** What holds when nothing is written, in the words a person would write; `undefined` for "not set". */
  readonly fallback: string | undefined;
  /** One line of reference documentation. */
  readonly about: string;
  /** The value is never shown. */
  readonly secret: boolean;
}

/** The settings of one feature, by the name that code uses. */
export type SettingSlice = Readonly<Record<string, Setting<unknown>>>;

/** What a slice becomes once it is read. */
export type SliceValues<S extends SettingSlice> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

/** A setting that always has a value. */
export function setting<T>(name: string, schema: z.ZodType<T>, fallback: string, about: string): Setting<T> {
  return { name, schema, fallback, about, secret: false };
}

/** A setting that may be left out. */
export function optionalSetting<T>(
  name: string,
  schema: z.ZodType<T>,
  about: string,
  options: { readonly secret?: boolean } = {},
): Setting<T | undefined> {
  return { name, schema: schema.optional(), fallback: undefined, about, secret: options.secret ?? false };
}

/** Name of the environment variable of a setting. */
export function environmentName(name: string): string {
  return `PALYRA_${name.toUpperCase()}`;
}

import { stdSerializers } from 'pino';

/** What stands in place of a secret. */
export const REDACTED = '[redacted]';

/** Keys whose values are never written, wherever an object to be logged has them. */
const SECRET_KEYS: ReadonlySet<string> = new Set([
  'authorization',
  'token',
  'secret',
  'password',
  'passphrase',
  'privateKey',
  'key',
  'pin',
  'proof',
  'verifier',
  'w0',
  'sharedKey',
  'collectToken',
]);

/** Levels of an object that are written; what lies deeper is left out, and a cycle ends there. */
const MAX_LEVELS = 5;
const TOO_DEEP = '[too deep]';

/** A copy of `entry`, the object of a log line, in which no secret key has its value; errors become plain objects. */
export function withoutSecrets(entry: object): Record<string, unknown> {
  return censored(entry, MAX_LEVELS);
}

function censored(object: object, levels: number): Record<string, unknown> {
  const copy: [string, unknown][] = [];
  for (const [key, value] of Object.entries(object)) {
    copy.push([key, SECRET_KEYS.has(key) ? REDACTED : censoredValue(value, levels - 1)]);
  }
  return Object.fromEntries(copy);
}

function censoredValue(value: unknown, levels: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (levels === 0) return TOO_DEEP;
  if (value instanceof Error) return censored(stdSerializers.errWithCause(value), levels);
  if (Array.isArray(value)) return value.map((each) => censoredValue(each, levels - 1));
  if (hasOwnJson(value)) return censoredValue(value.toJSON(), levels - 1);
  return censored(value, levels);
}

const hasOwnJson = (value: object): value is { toJSON(): unknown } =>
  'toJSON' in value && typeof value.toJSON === 'function';

/** Secrets that have a form of their own are found in any text: messages, stacks, nested causes. */
const SECRET_FORMS: readonly (readonly [RegExp, string])[] = [
  [/palyra1_[0-9a-z]+_[0-9a-z]+(?:_[0-9a-z]+)?/gi, `palyra1_${REDACTED}`],
  [/palyra:\/\/pair[^\s"'\\]*/gi, `palyra://pair${REDACTED}`],
  [/\b[0-9A-TV-Z]{4}-\d{6}\b/gi, REDACTED],
  [/bearer [A-Za-z0-9._~+/=-]+/gi, `Bearer ${REDACTED}`],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, REDACTED],
];

/** `text` without anything that looks like a token, a pairing code or link, a bearer credential or a private key. */
export function redactText(text: string): string {
  return SECRET_FORMS.reduce((redacted, [form, instead]) => redacted.replace(form, instead), text);
}

/** What stands in place of a secret. */
export const REDACTED = '[redacted]';

/** Keys whose values are never written, wherever an object to be logged has them. */
const SECRET_KEYS = [
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
];

/** The paths that pino censors: each key at the top of an entry and one and two levels below. */
export const REDACTED_PATHS = SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);

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

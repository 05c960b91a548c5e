/**
 * Characters that do not show as themselves: C0 and C1 controls (escape sequences among them), line and paragraph
 * separators, everything invisible that Unicode calls a format character (bidirectional overrides and zero-width ones
 * among them), and lone surrogates.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Makes text of others safe to print on a terminal, as one line: a device chooses its platform and an operator a reason,
 * and neither may move the cursor, hide what follows or pose as another line. Safe text is unchanged.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escapeCharacter);
}

/** JSON on one line in which every character of {@link printable}'s kind is escaped; it still reads as the same value. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(UNPRINTABLE, escapeForJson);
}

function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

function escapeForJson(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

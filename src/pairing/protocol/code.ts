import { malformed } from '../../errors/domain-error.js';
import { crockfordCharacter, isCrockford, readTypedCrockford } from '../../encoding/crockford.js';
import type { RandomBytes } from '../../random/random-bytes.js';

/** Pairing codes as people type them and machines read them (docs/protocol.md, "Pairing", Code). */

export const PIN_CODE_ID_LENGTH = 4;
export const LINK_CODE_ID_LENGTH = 8;
const PIN_DIGITS = 6;
const PIN_COUNT = 10 ** PIN_DIGITS;
/** The largest multiple of 10^6 that three bytes hold: draws from it on would make the small PINs likelier. */
const PIN_DRAW_LIMIT = Math.floor(2 ** 24 / PIN_COUNT) * PIN_COUNT;
const MAX_DRAWS = 256;

export type CodeKind = 'pin' | 'link';

/** `K7QM-482913`: a public id and six digits, good for one device. */
export interface PinCode {
  readonly kind: 'pin';
  readonly codeId: string;
  /** Six ASCII digits. Secret. */
  readonly pin: string;
}

/** What a `palyra://pair` link or its QR code carries. */
export interface LinkCode {
  readonly kind: 'link';
  readonly codeId: string;
  /** 16 bytes. */
  readonly secret: Buffer;
  /** `host:port`. */
  readonly endpoint: string;
  /** SHA-256 of the SPKI of the root that signed at mint, 32 bytes. */
  readonly ca: Buffer;
}

/** Throws `malformed`: CODE_CHARACTER, CODE_LENGTH or CODE_DIGITS. */
export function parsePinCode(text: string): PinCode {
  const typed = readTypedCrockford(text);
  if (typed === undefined) {
    throw malformed(
      'CODE_CHARACTER',
      'the code holds a character that no code has; it looks like K7QM-482913',
    );
  }
  if (typed.length !== PIN_CODE_ID_LENGTH + PIN_DIGITS) {
    throw malformed('CODE_LENGTH', 'a code is 4 characters and 6 digits, like K7QM-482913');
  }
  const pin = typed.slice(PIN_CODE_ID_LENGTH);
  if (!/^[0-9]{6}$/.test(pin)) {
    throw malformed('CODE_DIGITS', 'the last six characters of a code are digits, like K7QM-482913');
  }
  return { kind: 'pin', codeId: typed.slice(0, PIN_CODE_ID_LENGTH), pin };
}

/** `K7QM-482913`. */
export function formatPinCode({ codeId, pin }: Pick<PinCode, 'codeId' | 'pin'>): string {
  return `${codeId}-${pin}`;
}

/** What kind of code an id in canonical spelling belongs to; `undefined` when it is no id, or spelt otherwise. */
export function codeKindOf(codeId: string): CodeKind | undefined {
  if (!isCrockford(codeId, 'upper')) return undefined;
  if (codeId.length === PIN_CODE_ID_LENGTH) return 'pin';
  return codeId.length === LINK_CODE_ID_LENGTH ? 'link' : undefined;
}

/** A code id, each of its values equally likely. That it is free, the caller must see to. */
export function newCodeId(kind: CodeKind, random: RandomBytes): string {
  const length = kind === 'pin' ? PIN_CODE_ID_LENGTH : LINK_CODE_ID_LENGTH;
  // 32 divides 256: the low five bits of a byte favour no character.
  return Array.from(random(length), (byte) => crockfordCharacter(byte, 'upper')).join('');
}

/** Six digits, each of the 10^6 PINs equally likely. */
export function newPin(random: RandomBytes): string {
  for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
    const value = random(3).readUIntBE(0, 3);
    if (value < PIN_DRAW_LIMIT) return String(value % PIN_COUNT).padStart(PIN_DIGITS, '0');
  }
  throw new Error('the source of randomness gave no PIN in range');
}

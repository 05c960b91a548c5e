import { createHash, timingSafeEqual } from 'node:crypto';
import { crockfordCharacter, decodeCrockford, encodeCrockford, isCrockford } from '../encoding/crockford.js';
import { type DomainError, malformed } from '../errors/domain-error.js';
import type { RandomBytes } from '../random/random-bytes.js';

/** Operator tokens, `palyra1_<id>_<secret>_<ca>` (docs/protocol.md, "Operator token"). One spelling, 122 characters. */

const PREFIX = 'palyra1_';
const TOKEN_ID_LENGTH = 8;
const SECRET_BYTES = 32;
const CA_HASH_BYTES = 32;

export interface OperatorToken {
  /** 8 lower-case characters of Crockford base 32; public. */
  readonly tokenId: string;
  /** 32 bytes. Secret: the store keeps {@link hashTokenSecret} of it. */
  readonly secret: Buffer;
  /** SHA-256 of the SPKI of the root that signed at mint, 32 bytes: what a client checks before it sends the token. */
  readonly ca: Buffer;
}

/** A new token. That its id is free, the caller must see to. */
export function newOperatorToken(ca: Uint8Array, random: RandomBytes): OperatorToken {
  if (ca.length !== CA_HASH_BYTES) throw new RangeError('the CA hash of a token is 32 bytes');
  const tokenId = Array.from(random(TOKEN_ID_LENGTH), (byte) => crockfordCharacter(byte, 'lower')).join('');
  return { tokenId, secret: random(SECRET_BYTES), ca: Buffer.from(ca) };
}

export function formatOperatorToken({ tokenId, secret, ca }: OperatorToken): string {
  return `${PREFIX}${tokenId}_${encodeCrockford(secret, 'lower')}_${encodeCrockford(ca, 'lower')}`;
}

/**
 * Reads a token without any leniency: no blanks, no other case, no O for 0. Throws `malformed`: TOKEN_PREFIX,
 * TOKEN_PARTS, TOKEN_ID, TOKEN_SECRET or TOKEN_CA.
 */
export function parseOperatorToken(text: string): OperatorToken {
  if (!text.startsWith(PREFIX)) throw badToken('TOKEN_PREFIX', `an operator token begins with ${PREFIX}`);
  const [tokenId, secretText, caText, ...more] = text.slice(PREFIX.length).split('_');
  if (tokenId === undefined || secretText === undefined || caText === undefined || more.length > 0) {
    throw badToken('TOKEN_PARTS', 'an operator token has four parts with _ between them');
  }
  if (tokenId.length !== TOKEN_ID_LENGTH || !isCrockford(tokenId, 'lower')) {
    throw badToken('TOKEN_ID', 'the id of the token is damaged');
  }
  const secret = decodeCrockford(secretText, SECRET_BYTES, 'lower');
  if (secret === undefined) throw badToken('TOKEN_SECRET', 'the secret of the token is damaged');
  const ca = decodeCrockford(caText, CA_HASH_BYTES, 'lower');
  if (ca === undefined) throw badToken('TOKEN_CA', 'the CA hash of the token is damaged');
  return { tokenId, secret, ca };
}

/** SHA-256 of the secret, 32 bytes: what the store keeps. The secret is random, so nothing slower is needed. */
export function hashTokenSecret(secret: Uint8Array): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** Whether `secret` is the one whose hash was stored, in constant time. */
export function verifyTokenSecret(secret: Uint8Array, storedHash: Uint8Array): boolean {
  const hash = hashTokenSecret(secret);
  return hash.length === storedHash.length && timingSafeEqual(hash, storedHash);
}

function badToken(reason: string, problem: string): DomainError {
  return malformed(reason, `${problem}; copy the whole token again`);
}

import { type DomainError, malformed } from '../../errors/domain-error.js';
import { isDeviceId } from '../../identity/device-id.js';
import { CLIENT_KINDS, type ClientKind } from '../../identity/device-identity.js';
import { isIdentityKey } from '../../identity/ed25519.js';
import { CONFIRMATION_BYTES } from '../../spake2plus/key-schedule.js';
import { InvalidPointError, Point } from '../../spake2plus/p256.js';
import { codeKindOf } from './code.js';
import { isEndpoint } from './endpoint.js';

/** The messages of the handshake and what their form must be (docs/protocol.md, "Pairing"). */

export const PAIRING_VERSION = '2';
export const PAIRING_SUITE = 'P256-SHA256-HKDF-SHA256-HMAC-SHA256';
export const MAX_PLATFORM_BYTES = 64;
export const CSR_HASH_BYTES = 32;

/** Device → server, first. */
export interface Hello {
  readonly version: string;
  readonly suite: string;
  /** In canonical spelling: 4 (PIN) or 8 (link) upper-case characters. */
  readonly codeId: string;
  readonly deviceId: string;
  readonly clientKind: ClientKind;
  /** At most 64 bytes of UTF-8; may be empty. */
  readonly platform: string;
  /** Ed25519, 32 raw bytes. */
  readonly identityKey: Buffer;
  /** SHA-256 of the PKCS#10 request that the proof will carry. */
  readonly csrHash: Buffer;
  /** 65 bytes, uncompressed. */
  readonly shareP: Buffer;
}

/** What the server tells of its cluster; bound by T. */
export interface WelcomeFields {
  readonly trustDomain: string;
  readonly grpcEndpoints: readonly string[];
  readonly quicEndpoints: readonly string[];
  readonly epoch: number;
  /** Of the audit log. */
  readonly sequence: number;
  /** DER: the signing one first, then by creation. */
  readonly roots: readonly Buffer[];
}

/** Server → device. Not to be believed before confirmV was found right. */
export interface Welcome extends WelcomeFields {
  /** 65 bytes, uncompressed. */
  readonly shareV: Buffer;
  /** 32 bytes. */
  readonly confirmV: Buffer;
}

/** Device → server, second. */
export interface Proof {
  /** 32 bytes. */
  readonly confirmP: Buffer;
  /** PKCS#10, DER. */
  readonly csr: Buffer;
  /** Ed25519 over the identity statement, 64 bytes. */
  readonly identitySignature: Buffer;
}

declare const checked: unique symbol;

/** A hello whose every field has the right form. Comes out of {@link parseHello} only. */
export type CheckedHello = Hello & { readonly [checked]: 'hello' };

/** A welcome whose every field has the right form, which says nothing of who sent it. Comes out of {@link parseWelcome}. */
export type CheckedWelcome = Welcome & { readonly [checked]: 'welcome' };

/** A hello as it was decoded from the wire; `clientKind` is the word, whatever it says. */
export interface HelloInput {
  readonly version: string;
  readonly suite: string;
  readonly codeId: string;
  readonly deviceId: string;
  readonly clientKind: string;
  readonly platform: string;
  readonly identityKey: Uint8Array;
  readonly csrHash: Uint8Array;
  readonly shareP: Uint8Array;
}

/** A welcome as it was decoded from the wire. */
export interface WelcomeInput {
  readonly trustDomain: string;
  readonly grpcEndpoints: readonly string[];
  readonly quicEndpoints: readonly string[];
  readonly epoch: bigint | number;
  readonly sequence: bigint | number;
  readonly roots: readonly Uint8Array[];
  readonly shareV: Uint8Array;
  readonly confirmV: Uint8Array;
}

/**
 * The form of a hello, checked before any try is spent. Throws `malformed`: UNSUPPORTED_VERSION, UNSUPPORTED_SUITE,
 * INVALID_CODE_ID, INVALID_DEVICE_ID, INVALID_CLIENT_KIND, INVALID_PLATFORM, INVALID_IDENTITY_KEY, INVALID_CSR_HASH or
 * INVALID_SHARE.
 */
export function parseHello(input: HelloInput): CheckedHello {
  check(input.version === PAIRING_VERSION, 'UNSUPPORTED_VERSION', 'the server speaks pairing version 2 only');
  check(input.suite === PAIRING_SUITE, 'UNSUPPORTED_SUITE', `the server speaks ${PAIRING_SUITE} only`);
  const kind = codeKindOf(input.codeId);
  check(
    kind !== undefined,
    'INVALID_CODE_ID',
    'a code id is 4 or 8 upper-case characters of Crockford base 32',
  );
  check(isDeviceId(input.deviceId), 'INVALID_DEVICE_ID', 'a device id is a ULID of 26 upper-case characters');
  const { clientKind, platform } = input;
  if (!isClientKind(clientKind))
    throw malformed('INVALID_CLIENT_KIND', `the client kind is one of ${CLIENT_KINDS.join(', ')}`);
  check(isPlatform(platform), 'INVALID_PLATFORM', 'the platform is at most 64 bytes of text without U+0000');
  check(
    isIdentityKey(input.identityKey),
    'INVALID_IDENTITY_KEY',
    'the identity key is no Ed25519 public key',
  );
  check(input.csrHash.length === CSR_HASH_BYTES, 'INVALID_CSR_HASH', 'the hash of the request is 32 bytes');
  checkShare(input.shareP);
  const hello: Hello = {
    version: input.version,
    suite: input.suite,
    codeId: input.codeId,
    deviceId: input.deviceId,
    clientKind,
    platform,
    identityKey: Buffer.from(input.identityKey),
    csrHash: Buffer.from(input.csrHash),
    shareP: Buffer.from(input.shareP),
  };
  return hello as CheckedHello;
}

/**
 * The form of a welcome. Throws `malformed`: INVALID_TRUST_DOMAIN, INVALID_ENDPOINT, INVALID_EPOCH, INVALID_SEQUENCE,
 * INVALID_ROOTS, INVALID_SHARE or INVALID_CONFIRMATION.
 */
export function parseWelcome(input: WelcomeInput): CheckedWelcome {
  check(
    isTrustDomain(input.trustDomain),
    'INVALID_TRUST_DOMAIN',
    'the trust domain is no lower-case DNS name',
  );
  const endpoints = [...input.grpcEndpoints, ...input.quicEndpoints];
  check(endpoints.every(isEndpoint), 'INVALID_ENDPOINT', 'an endpoint of the server is not host:port');
  const roots = input.roots.map((root) => Buffer.from(root));
  check(
    roots.length > 0 && roots.every((root) => root.length > 0),
    'INVALID_ROOTS',
    'the server sent no roots',
  );
  checkShare(input.shareV);
  const { length } = input.confirmV;
  check(
    length === CONFIRMATION_BYTES,
    'INVALID_CONFIRMATION',
    'the confirmation of the server is not 32 bytes',
  );
  const welcome: Welcome = {
    trustDomain: input.trustDomain,
    grpcEndpoints: [...input.grpcEndpoints],
    quicEndpoints: [...input.quicEndpoints],
    epoch: readNumber(input.epoch, 'INVALID_EPOCH'),
    sequence: readNumber(input.sequence, 'INVALID_SEQUENCE'),
    roots,
    shareV: Buffer.from(input.shareV),
    confirmV: Buffer.from(input.confirmV),
  };
  return welcome as CheckedWelcome;
}

function check(holds: boolean, reason: string, message: string): void {
  if (!holds) throw malformed(reason, message);
}

function checkShare(share: Uint8Array): void {
  try {
    Point.parse(share);
  } catch (error) {
    throw error instanceof InvalidPointError ? invalidShare(error) : error;
  }
}

function invalidShare(cause: InvalidPointError): DomainError {
  return malformed('INVALID_SHARE', 'the share is no uncompressed P-256 point of 65 bytes', cause);
}

function isClientKind(word: string): word is ClientKind {
  return (CLIENT_KINDS as readonly string[]).includes(word);
}

/** What `enc` could not hash (U+0000, lone surrogates) is refused here, as a form. */
function isPlatform(text: string): boolean {
  return (
    text.isWellFormed() && !text.includes('\u0000') && Buffer.byteLength(text, 'utf8') <= MAX_PLATFORM_BYTES
  );
}

/** A lower-case DNS name (labels of RFC 1123 §2.1), which is also a SPIFFE trust domain. */
function isTrustDomain(text: string): boolean {
  return text.length <= 253 && text.split('.').every((label) => /^(?!-)[0-9a-z-]{1,63}(?<!-)$/.test(label));
}

function readNumber(value: bigint | number, reason: string): number {
  const number = Number(value);
  check(Number.isSafeInteger(number) && number >= 0, reason, 'the number is not from 0 to 2^53 − 1');
  return number;
}

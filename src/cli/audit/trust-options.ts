import { createPublicKey, type KeyObject } from 'node:crypto';
import { ClientError } from '../../client/client-error.js';
import { isIdentityKey } from '../../identity/ed25519.js';

/** What an Ed25519 SPKI consists of before its 32 bytes of key (RFC 8410 §4). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const KEY_BYTES = 32;
/** The key alone, or its SPKI. */
const HEX_KEY = /^(?:[0-9a-f]{64}|[0-9a-f]{88})$/i;
const STORE_ID = /^[0-9a-f]{32}$/i;

/**
 * The key that heads are judged by: that of `--key`, else the one that was kept with an older head. Never one that comes
 * with the export. Throws a usage error when there is none, or none that is an Ed25519 public key.
 */
export function readAuditKey(option: string | undefined, kept: Buffer | undefined): KeyObject {
  const raw = option === undefined ? kept : rawKey(option);
  if (raw === undefined) {
    throw new ClientError('usage', 'AUDIT_KEY_MISSING', 'there is no audit key to judge the export by', {
      advice: 'give --key as palyra status shows it, or --since a head that palyra audit head has written',
    });
  }
  // Under a key of small order OpenSSL takes any signature.
  if (!isIdentityKey(raw)) throw badKey();
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
}

/** 16 bytes. Throws a usage error. */
export function readStoreId(option: string): Buffer {
  if (STORE_ID.test(option)) return Buffer.from(option, 'hex');
  throw new ClientError('usage', 'STORE_ID', `--store ${JSON.stringify(option)} is no store id`, {
    advice: 'write 32 hex digits, as palyra status shows it',
  });
}

function rawKey(text: string): Buffer {
  const bytes = HEX_KEY.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64');
  const isSpki = bytes.subarray(0, SPKI_PREFIX.length).equals(SPKI_PREFIX);
  const raw = isSpki ? bytes.subarray(SPKI_PREFIX.length) : bytes;
  if (raw.length !== KEY_BYTES) throw badKey();
  return raw;
}

function badKey(): ClientError {
  return new ClientError('usage', 'AUDIT_KEY', 'the audit key is no Ed25519 public key', {
    advice: 'write its 32 bytes in hex or base64, as palyra status shows it',
  });
}

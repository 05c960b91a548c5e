import { newDeviceId } from '../../identity/device-id.js';
import type { RandomBytes } from '../../random/random-bytes.js';
import type { Clock } from '../../time/clock.js';
import { identityFingerprint, fingerprintWords } from '../../identity/fingerprint.js';
import { rawIdentityKey } from '../../identity/ed25519.js';
import type { KeyObject } from 'node:crypto';
import type { StoredIdentity } from './device-records.js';
import { newKeyPair } from '../../random/key-pair.js';

/** A new device: a ULID of its own and an Ed25519 key (RFC 8032). */
export function newIdentity(clock: Clock, random: RandomBytes): StoredIdentity {
  return { deviceId: newDeviceId(clock, random), identityKey: newIdentityKey() };
}

/** The same device under a new key; an operator has to approve it with `replace_identity`. */
export function withNewKey(identity: StoredIdentity): StoredIdentity {
  return { deviceId: identity.deviceId, identityKey: newIdentityKey() };
}

/** P-256, which every TLS stack takes (DESIGN §3); new for each certificate. */
export function newCertificateKey(): KeyObject {
  return newKeyPair('p256').privateKey;
}

/** What the person at the device compares with what the operator sees. */
export interface ShownIdentity {
  readonly deviceId: string;
  /** SHA-256 of the identity key, lower-case hex. */
  readonly fingerprint: string;
  /** Six words. */
  readonly words: readonly string[];
}

export function shownIdentity(identity: StoredIdentity): ShownIdentity {
  const fingerprint = identityFingerprint(rawIdentityKey(identity.identityKey));
  return { deviceId: identity.deviceId, fingerprint, words: fingerprintWords(fingerprint) };
}

function newIdentityKey(): KeyObject {
  return newKeyPair('ed25519').privateKey;
}

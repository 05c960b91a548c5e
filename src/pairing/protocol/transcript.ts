import { createHash, hkdfSync } from 'node:crypto';
import { enc } from '../../encoding/canonical.js';
import type { Identities } from '../../spake2plus/key-schedule.js';
import type { Hello, WelcomeFields } from './messages.js';

/** What the handshake binds, and what is derived from it (docs/protocol.md, "Pairing"). */

const LABEL = 'palyra-pair-v2';
const IDENTITY_LABEL = 'palyra-pair-v2 identity';
const COLLECT_INFO = 'palyra-pair-v2 collect';
export const COLLECT_TOKEN_BYTES = 32;

/** A welcome but for confirmV, which depends on T. */
export type ConfirmedFields = WelcomeFields & { readonly shareV: Buffer };

/** What `T` is the SHA-256 of: the label and every field of both messages but confirmV, in the order of the messages. */
export function transcriptPreimage(hello: Hello, welcome: ConfirmedFields): Buffer {
  return enc(
    LABEL,
    hello.version,
    hello.suite,
    hello.codeId,
    hello.deviceId,
    hello.clientKind,
    hello.platform,
    hello.identityKey,
    hello.csrHash,
    hello.shareP,
    welcome.trustDomain,
    welcome.grpcEndpoints,
    welcome.quicEndpoints,
    welcome.epoch,
    welcome.sequence,
    welcome.roots,
    welcome.shareV,
  );
}

/** `T`, 32 bytes. */
export function transcriptHash(hello: Hello, welcome: ConfirmedFields): Buffer {
  return sha256(transcriptPreimage(hello, welcome));
}

/** RFC 9383's Context, idProver and idVerifier. */
export function handshakeIdentities(transcript: Buffer, deviceId: string, trustDomain: string): Identities {
  return {
    context: transcript,
    prover: Buffer.from(deviceId, 'ascii'),
    verifier: Buffer.from(`spiffe://${trustDomain}/control-plane`, 'ascii'),
  };
}

/** What the identity key signs in the proof. */
export function identityStatement(transcript: Buffer): Buffer {
  return enc(IDENTITY_LABEL, transcript);
}

/** What the device shows to collect its certificate, 32 bytes. Secret: the server keeps {@link collectTokenHash}. */
export function deriveCollectToken(sharedKey: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', sharedKey, Buffer.alloc(0), COLLECT_INFO, COLLECT_TOKEN_BYTES));
}

/** SHA-256 of the token, 32 bytes: how the server finds the request. */
export function collectTokenHash(token: Uint8Array): Buffer {
  return sha256(token);
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

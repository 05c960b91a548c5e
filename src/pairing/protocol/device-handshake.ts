import type { KeyObject } from 'node:crypto';
import { DomainError } from '../../errors/domain-error.js';
import type { ClientKind } from '../../identity/device-identity.js';
import { rawIdentityKey, signWithIdentity } from '../../identity/ed25519.js';
import type { Scalar } from '../../spake2plus/p256.js';
import { Prover, type ProverKeys } from '../../spake2plus/prover.js';
import {
  type CheckedHello,
  type CheckedWelcome,
  PAIRING_SUITE,
  PAIRING_VERSION,
  parseHello,
  type Proof,
} from './messages.js';
import type { PasswordScalars } from './password.js';
import { holdsPinnedKey } from './root-pin.js';
import {
  deriveCollectToken,
  handshakeIdentities,
  identityStatement,
  sha256,
  transcriptHash,
} from './transcript.js';

/** The device's side of the pairing handshake, without I/O: hello → welcome → proof. */

export interface DeviceStart {
  /** In canonical spelling. */
  readonly codeId: string;
  readonly password: PasswordScalars;
  readonly deviceId: string;
  readonly clientKind: ClientKind;
  readonly platform: string;
  /** Ed25519 private key. */
  readonly identityKey: KeyObject;
  /** PKCS#10, DER. */
  readonly csr: Buffer;
  /** Fresh for each handshake. */
  readonly x: Scalar;
  /** A link's `ca`: SHA-256 of the SPKI of a root that the welcome must hold, 32 bytes. */
  readonly ca?: Buffer;
}

/** Begins a handshake. Throws `malformed` with the reasons of `parseHello` when the device's own facts are not in form. */
export function startHandshake(start: DeviceStart): DeviceHandshake {
  const prover = new Prover(start.password.w0, start.password.w1, start.x);
  const hello = parseHello({
    version: PAIRING_VERSION,
    suite: PAIRING_SUITE,
    codeId: start.codeId,
    deviceId: start.deviceId,
    clientKind: start.clientKind,
    platform: start.platform,
    identityKey: rawIdentityKey(start.identityKey),
    csrHash: sha256(start.csr),
    shareP: prover.shareP,
  });
  return new DeviceHandshake(start, hello, prover);
}

/** Waits for the welcome. */
export class DeviceHandshake {
  #over = false;

  constructor(
    private readonly start: DeviceStart,
    readonly hello: CheckedHello,
    private readonly prover: Prover,
  ) {}

  /**
   * Takes the server's one welcome. Throws `unauthenticated`, after which the device forgets the code and does not try
   * again by itself: CONFIRMATION_FAILED (another code, or a false server) or CA_MISMATCH (the server knows the code,
   * but none of its roots has the key that the link names).
   */
  handleWelcome(welcome: CheckedWelcome): ConfirmedServer {
    if (this.#over) throw new Error('the handshake is over: it takes one welcome');
    this.#over = true;
    const transcript = transcriptHash(this.hello, welcome);
    const identities = handshakeIdentities(transcript, this.hello.deviceId, welcome.trustDomain);
    const keys = this.prover.finish(welcome.shareV, welcome.confirmV, identities);
    this.prover.discard();
    if (keys === undefined) throw notConfirmed();
    if (this.start.ca !== undefined && !holdsPinnedKey(welcome.roots, this.start.ca)) throw otherCa();
    return new ConfirmedServer(this.start, welcome, transcript, keys);
  }
}

/** The server proved that it knows the code: its welcome may be believed, and the proof may be sent. */
export class ConfirmedServer {
  /** 32 bytes. Secret: goes into the sealed pending record before the proof is sent. */
  readonly collectToken: Buffer;

  constructor(
    private readonly start: DeviceStart,
    readonly welcome: CheckedWelcome,
    /** `T`, 32 bytes. */
    readonly transcript: Buffer,
    private readonly keys: ProverKeys,
  ) {
    this.collectToken = deriveCollectToken(keys.sharedKey);
    keys.sharedKey.fill(0);
  }

  makeProof(): Proof {
    return {
      confirmP: this.keys.confirmP,
      csr: this.start.csr,
      identitySignature: signWithIdentity(this.start.identityKey, identityStatement(this.transcript)),
    };
  }
}

function notConfirmed(): DomainError {
  return new DomainError(
    'unauthenticated',
    'CONFIRMATION_FAILED',
    'the server does not know this code: it is wrong, used or expired, or this is not your server; ask for a new code',
  );
}

function otherCa(): DomainError {
  return new DomainError(
    'unauthenticated',
    'CA_MISMATCH',
    'no root of the server has the key that the link names; ask for a new link',
  );
}

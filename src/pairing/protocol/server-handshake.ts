import { timingSafeEqual } from 'node:crypto';
import { DomainError, malformed } from '../../errors/domain-error.js';
import { verifyIdentitySignature } from '../../identity/ed25519.js';
import type { Scalar } from '../../spake2plus/p256.js';
import { type Verifier, verifierRespond, verifierShare } from '../../spake2plus/verifier.js';
import type { CheckedHello, Proof, Welcome, WelcomeFields } from './messages.js';
import {
  deriveCollectToken,
  handshakeIdentities,
  identityStatement,
  sha256,
  transcriptHash,
} from './transcript.js';

/** The server's side of the pairing handshake, without I/O: hello → welcome → proof → outcome. */

export interface HelloAnswer {
  readonly hello: CheckedHello;
  /** The live code's, or the decoy. */
  readonly verifier: Verifier;
  readonly fields: WelcomeFields;
  /** Fresh for each hello. */
  readonly y: Scalar;
}

/** The work is the same for a live code, a decoy and a share that makes Z infinite. */
export function respondToHello({ hello, verifier, fields, y }: HelloAnswer): {
  readonly welcome: Welcome;
  readonly pending: PendingProof;
} {
  const shareV = verifierShare(verifier, y);
  const transcript = transcriptHash(hello, { ...fields, shareV });
  const identities = handshakeIdentities(transcript, hello.deviceId, fields.trustDomain);
  const { confirmV, ...keys } = verifierRespond({ verifier, y, shareP: hello.shareP, shareV, identities });
  return {
    welcome: { ...fields, shareV, confirmV },
    pending: new PendingProof(hello, transcript, keys),
  };
}

/**
 * How a proof was judged. `wrong_proof` says no more than that, whatever was wrong with the code; a `fault` is the
 * device's own mistake behind a right proof (the code stays live, the try stays spent).
 */
export type ProofOutcome<Request> =
  | { readonly kind: 'wrong_proof' }
  | { readonly kind: 'fault'; readonly error: DomainError }
  | ({ readonly kind: 'verified' } & VerifiedProof<Request>);

export interface VerifiedProof<Request> {
  readonly hello: CheckedHello;
  /** `T`, 32 bytes. */
  readonly transcript: Buffer;
  /** 32 bytes. Secret: the store keeps its SHA-256 (`collectTokenHash`). */
  readonly collectToken: Buffer;
  /** What `verifyRequest` made of the PKCS#10 request. */
  readonly request: Request;
}

interface ExpectedKeys {
  readonly confirmP: Buffer;
  readonly sharedKey: Buffer;
  readonly degenerate: boolean;
}

/** A handshake that waits for its proof. Lives in one process's memory and is good for one proof. */
export class PendingProof {
  #keys: ExpectedKeys | undefined;

  constructor(
    readonly hello: CheckedHello,
    private readonly transcript: Buffer,
    keys: ExpectedKeys,
  ) {
    this.#keys = keys;
  }

  /**
   * confirmP first, in constant time; only then the hash of the request, the request itself by `verifyRequest`, which
   * throws `malformed` for a bad one, and the identity signature. Faults are CSR_HASH_MISMATCH, IDENTITY_SIGNATURE and
   * what `verifyRequest` throws. A second call, or one after {@link discard}, is an error of the caller.
   */
  check<Request>(proof: Proof, verifyRequest: (csr: Buffer) => Request): ProofOutcome<Request> {
    const keys = this.#keys;
    if (keys === undefined) throw new Error('the handshake is over: it takes one proof');
    try {
      if (!confirms(keys, proof.confirmP)) return { kind: 'wrong_proof' };
      return this.#checkBehindProof(proof, verifyRequest, keys.sharedKey);
    } finally {
      this.discard();
    }
  }

  /** Overwrites the keys; to be called when the call ends without a proof. May be called again. */
  discard(): void {
    this.#keys?.confirmP.fill(0);
    this.#keys?.sharedKey.fill(0);
    this.#keys = undefined;
  }

  #checkBehindProof<Request>(
    proof: Proof,
    verifyRequest: (csr: Buffer) => Request,
    sharedKey: Buffer,
  ): ProofOutcome<Request> {
    const { hello, transcript } = this;
    try {
      if (!sha256(proof.csr).equals(hello.csrHash)) {
        throw malformed('CSR_HASH_MISMATCH', 'the request is not the one whose hash hello carried');
      }
      const request = verifyRequest(proof.csr);
      if (
        !verifyIdentitySignature(hello.identityKey, identityStatement(transcript), proof.identitySignature)
      ) {
        throw malformed('IDENTITY_SIGNATURE', 'the identity key did not sign this handshake');
      }
      return { kind: 'verified', hello, transcript, collectToken: deriveCollectToken(sharedKey), request };
    } catch (error) {
      if (error instanceof DomainError && error.kind === 'malformed') return { kind: 'fault', error };
      throw error;
    }
  }
}

function confirms(keys: ExpectedKeys, confirmP: Uint8Array): boolean {
  const equal = confirmP.length === keys.confirmP.length && timingSafeEqual(keys.confirmP, confirmP);
  return equal && !keys.degenerate;
}

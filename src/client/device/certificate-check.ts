import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { verifyDeviceChain } from '../../ca/chain-verification.js';
import { ClientError } from '../client-error.js';

/** What the device asked a certificate for. */
export interface ExpectedCertificate {
  readonly deviceId: string;
  readonly trustDomain: string;
  /** The private key whose public half the certificate must have. */
  readonly certificateKey: KeyObject;
  /** DER. */
  readonly roots: readonly Buffer[];
}

declare const checked: unique symbol;

/** A chain that the device may keep as its own. Comes out of {@link checkCertificate} only. */
export interface CheckedCertificate {
  readonly [checked]: true;
  /** DER, leaf first. */
  readonly chain: readonly Buffer[];
  /** SHA-256 of the leaf, lower-case hex. */
  readonly fingerprint: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/**
 * Checks what `Collect` brought before anything is kept: a root of the bundle signed it, it is valid now, for clients
 * only, in the name of this device, and over the key that the device made. Throws `failed` with CERTIFICATE_REFUSED.
 */
export function checkCertificate(
  chain: readonly Buffer[],
  expected: ExpectedCertificate,
  now: number,
): CheckedCertificate {
  const verdict = verifyDeviceChain(chain, expected.roots, now, expected.trustDomain);
  if (!verdict.ok) throw refused(`it does not verify (${verdict.reason})`);
  if (verdict.deviceId !== expected.deviceId) throw refused('it is for another device');
  if (!certifies(chain[0], expected.certificateKey)) throw refused('it is for another key');
  const { fingerprint, notAfter } = verdict;
  return { chain, fingerprint, expiresAt: notAfter } as CheckedCertificate;
}

function certifies(leaf: Buffer | undefined, privateKey: KeyObject): boolean {
  return leaf !== undefined && new X509Certificate(leaf).publicKey.equals(createPublicKey(privateKey));
}

function refused(why: string): ClientError {
  return new ClientError(
    'failed',
    'CERTIFICATE_REFUSED',
    `the certificate from the server cannot be used: ${why}`,
    {
      advice: 'check the clocks of both sides; if they agree, look into the log of the service',
    },
  );
}

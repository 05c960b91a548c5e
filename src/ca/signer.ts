import { createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { encodeBits, encodeSequence } from './der-writer.js';
import { SIGNATURE_ALGORITHM } from './public-key.js';

/**
 * Opaque handle to a P-256 private key; signs certificates and revocation lists, nothing else. Asynchronous, so that the key of a CA may
 * live elsewhere one day; with this one the promises of {@link certify} settle in microtasks: no timer, file or socket is waited for, so
 * they may be awaited inside a unit of work.
 */
export class SigningKey {
  readonly #key: KeyObject;
  readonly publicKey: KeyObject;

  private constructor(key: KeyObject) {
    this.#key = key;
    this.publicKey = createPublicKey(key);
  }

  /** `pkcs8` is not kept; the caller may overwrite it. Throws an `Error` when it is not a P-256 key. */
  static open(pkcs8: Buffer): Promise<SigningKey> {
    const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
      throw new Error('the key of a CA must be P-256');
    return Promise.resolve(new SigningKey(key));
  }

  /** The certificate of a TBSCertificate, DER (RFC 5280 §4.1.1), signed with ECDSA P-256 and SHA-256. */
  certify(tbs: Buffer): Promise<Buffer> {
    const signature = sign('sha256', tbs, this.#key);
    return Promise.resolve(encodeSequence(tbs, SIGNATURE_ALGORITHM.p256, encodeBits(signature)));
  }

  /**
   * The list of a TBSCertList, DER (RFC 5280 §5.1.1). A list may be long, so it is hashed on libuv's pool: not to be
   * awaited inside a unit of work.
   */
  async signList(tbs: Buffer): Promise<Buffer> {
    const signature = await new Promise<Buffer>((resolve, reject) => {
      sign('sha256', tbs, this.#key, (error, signed) => {
        if (error === null) resolve(signed);
        else reject(error);
      });
    });
    return encodeSequence(tbs, SIGNATURE_ALGORITHM.p256, encodeBits(signature));
  }
}

import type { CertificateProfile } from './profiles.js';
import {
  authorityInfoAccessExtension,
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  crlDistributionPointsExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
  subjectKeyIdentifierExtension,
} from './extension-writer.js';
import { encodeContext, encodeSequence, encodeTime, encodeUnsigned } from './der-writer.js';
import { encodeDistinguishedName } from './names.js';
import { SIGNATURE_ALGORITHM } from './public-key.js';
import type { CertificateTemplate, Validity } from './template.js';

/** Version 3 (RFC 5280 §4.1.2.1). */
const VERSION = encodeContext(0, encodeUnsigned(Buffer.of(2)));

/**
 * Writes what an issuer signs: TBSCertificate, DER (RFC 5280 §4.1). What is the same in all certificates of one issuer
 * and one kind is encoded once: algorithm, issuer and the extensions that a profile fixes. Serial number, dates, subject,
 * key, its identifier and names are encoded for each.
 */
export class TbsEncoder {
  readonly #afterSerial: Buffer;
  readonly #authorityKeyIdentifier: Buffer;
  /** By everything that goes into them; see {@link fixedKey}. */
  readonly #fixedExtensions = new Map<string, Buffer>();

  #lastValidity: (Validity & { readonly der: Buffer }) | undefined;

  /** `issuerName` is DER, as it stands in the issuer's certificate. */
  constructor(issuerName: Buffer, issuerKeyIdentifier: Buffer) {
    this.#afterSerial = Buffer.concat([SIGNATURE_ALGORITHM.p256, issuerName]);
    this.#authorityKeyIdentifier = authorityKeyIdentifierExtension(issuerKeyIdentifier);
  }

  /** Throws RangeError when the template says what no certificate can say. */
  encode(template: CertificateTemplate, subjectKeyIdentifier: Buffer): Buffer {
    const { profile, serial, notBefore, notAfter, spki } = template;
    const extensions = [this.#fixed(profile), subjectKeyIdentifierExtension(subjectKeyIdentifier)];
    if (profile.subjectAltNames.length > 0) extensions.push(subjectAltNameExtension(profile.subjectAltNames));
    return encodeSequence(
      VERSION,
      encodeUnsigned(serial),
      this.#afterSerial,
      this.#encodeValidity(notBefore, notAfter),
      encodeDistinguishedName(profile.subject),
      spki,
      encodeContext(3, encodeSequence(...extensions)),
    );
  }

  /** Times are whole seconds, so certificates of one lifetime that are issued in the same second share theirs. */
  #encodeValidity(notBefore: number, notAfter: number): Buffer {
    const last = this.#lastValidity;
    if (last?.notBefore === notBefore && last.notAfter === notAfter) return last.der;
    const der = encodeSequence(encodeTime(notBefore), encodeTime(notAfter));
    this.#lastValidity = { notBefore, notAfter, der };
    return der;
  }

  #fixed(profile: CertificateProfile): Buffer {
    const key = fixedKey(profile);
    let fixed = this.#fixedExtensions.get(key);
    if (!fixed) {
      fixed = this.#encodeFixed(profile);
      this.#fixedExtensions.set(key, fixed);
    }
    return fixed;
  }

  /** `basicConstraints` and `keyUsage` are critical (RFC 5280 §4.2.1.9, §4.2.1.3), the others are not. */
  #encodeFixed({ ca, keyUsage, purposes, status }: CertificateProfile): Buffer {
    const extensions = [
      basicConstraintsExtension(ca),
      keyUsageExtension(keyUsage),
      this.#authorityKeyIdentifier,
    ];
    if (purposes.length > 0) extensions.push(extendedKeyUsageExtension(purposes));
    if (status) extensions.push(crlDistributionPointsExtension(status), authorityInfoAccessExtension(status));
    return Buffer.concat(extensions);
  }
}

/** Spells out what the fixed extensions are made of, so that no profile can get another's. */
function fixedKey({ ca, keyUsage, purposes, status }: CertificateProfile): string {
  const urls = status ? `${status.crl} ${status.issuer}` : '';
  return `${ca ? ca.pathLength : 'leaf'} ${keyUsage.join(',')} ${purposes.join(',')} ${urls}`;
}

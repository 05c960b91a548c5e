import { malformed } from '../errors/domain-error.js';

/** RFC 7468 text of one DER structure: 64 characters a line, line end at the end. */
export function encodePem(label: 'CERTIFICATE' | 'PRIVATE KEY', der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.length).toString('base64');
  let text = `-----BEGIN ${label}-----\n`;
  for (let start = 0; start < base64.length; start += LINE) text += `${base64.slice(start, start + LINE)}\n`;
  return `${text}-----END ${label}-----\n`;
}

const LINE = 64;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/** DER of every certificate of a PEM text, in its order. Throws `malformed` NO_CERTIFICATE when there is none. */
export function decodeCertificates(pem: string): Buffer[] {
  const found = [...pem.matchAll(CERTIFICATE)].map(([, base64 = '']) => Buffer.from(base64, 'base64'));
  if (found.length === 0) throw malformed('NO_CERTIFICATE', 'there is no PEM certificate in this text');
  return found;
}

/** Base64url without padding (RFC 4648 §5), one spelling for each value. */

export function encodeBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

/**
 * The `byteLength` bytes that `text` spells, or `undefined` for another length, padding, a character outside the
 * alphabet or unused bits that are not zero. Node's own decoder takes all of these, so the result is written again and
 * compared.
 */
export function decodeBase64Url(text: string, byteLength: number): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== byteLength) return undefined;
  return encodeBase64Url(bytes) === text ? bytes : undefined;
}

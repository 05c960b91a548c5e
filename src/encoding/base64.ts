/** Base64 with padding (RFC 4648 §4), as byte strings travel in node RPC and proto JSON. */

export const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** The bytes of a text in its one spelling; `undefined` for any other (Node's own decoder takes almost anything). */
export function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** What an operator shows, and what it lets itself be shown first. */
export interface OperatorCredential {
  /** The whole token; secret. */
  readonly token: string;
  /** SHA-256 of the SubjectPublicKeyInfo of the root that the server must lead to, 32 bytes. */
  readonly ca: Buffer;
}

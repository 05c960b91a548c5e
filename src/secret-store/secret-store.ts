/**
 * Port to everything that grants something: keys, identities, verifiers, pending requests, operators. Values are bytes,
 * sealed at rest (docs/protocol.md, "Sealed records"). Implemented by `SqlSecretStore` and `InMemorySecretStore`, which
 * pass the same contract suite (`secret-store.contract.ts`).
 *
 * Absent is `undefined`, never an error. A record that is there but does not open is a `DomainError` of kind `corrupt`
 * whose message names the record. A store that cannot be reached is kind `unavailable`.
 */
export interface SecretReader {
  read(name: string): Promise<Buffer | undefined>;
  /** Names that start with `prefix`, in ascending order of their bytes, after `after` (exclusive), at most `limit`. */
  list(prefix: string, options?: { readonly after?: string; readonly limit?: number }): Promise<string[]>;
}

export interface SecretStore extends SecretReader {
  /** Creates or replaces. */
  write(name: string, value: Uint8Array): Promise<void>;
  /** Returns whether there was something to delete. */
  delete(name: string): Promise<boolean>;
}

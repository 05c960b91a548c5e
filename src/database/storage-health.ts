import type { DomainError } from '../errors/domain-error.js';
import { storageError } from './storage-error.js';

/** What is known of the disk under the store, from what was tried on it. */
export class StorageHealth {
  #failure: DomainError | undefined;
  #damage: DomainError | undefined;

  /**
   * As {@link storageError}, and remembers it. A failure stays until a write of some size has succeeded again
   * ({@link recovered}): that a small one still fits says nothing. Damage stays, since nothing mends it while we run.
   */
  storageError(error: unknown): DomainError | undefined {
    const failure = storageError(error);
    if (failure?.kind === 'corrupt') this.#damage = failure;
    else if (failure !== undefined) this.#failure = failure;
    return failure;
  }

  /** The last failure that nothing has shown to be over. */
  get failure(): DomainError | undefined {
    return this.#failure;
  }

  get damage(): DomainError | undefined {
    return this.#damage;
  }

  recovered(): void {
    this.#failure = undefined;
  }
}

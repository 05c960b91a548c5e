import { requireSecretName, requireSecretPrefix } from './secret-name.js';
import type { SecretReader, SecretStore } from './secret-store.js';

/** Runs one operation, or refuses it; asynchronous, as a database is. */
export type OperationGuard = <T>(operation: () => Promise<T>) => Promise<T>;

/** Records of a map, in clear: for tests, and for devices that keep nothing on disk. */
export class InMemorySecretReader implements SecretReader {
  /** `records` is asked for at each operation, since a commit swaps the map. */
  constructor(
    protected readonly records: () => Map<string, Buffer>,
    private readonly guard: OperationGuard = (operation) => operation(),
  ) {}

  read(name: string): Promise<Buffer | undefined> {
    return this.operation(() => {
      requireSecretName(name);
      const value = this.records().get(name);
      return value === undefined ? undefined : Buffer.from(value);
    });
  }

  list(prefix: string, options: { after?: string; limit?: number } = {}): Promise<string[]> {
    return this.operation(() => {
      requireSecretPrefix(prefix);
      const { after } = options;
      return [...this.records().keys()]
        .filter((name) => name.startsWith(prefix) && (after === undefined || name > after))
        .sort()
        .slice(0, options.limit);
    });
  }

  protected operation<T>(run: () => T): Promise<T> {
    return this.guard(() => Promise.resolve().then(run));
  }
}

/** {@link InMemorySecretReader} within a unit of work. */
export class InMemorySecretStore extends InMemorySecretReader implements SecretStore {
  write(name: string, value: Uint8Array): Promise<void> {
    const copy = Buffer.from(value);
    return this.operation(() => {
      requireSecretName(name);
      this.records().set(name, copy);
    });
  }

  delete(name: string): Promise<boolean> {
    return this.operation(() => {
      requireSecretName(name);
      return this.records().delete(name);
    });
  }
}

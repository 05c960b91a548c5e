import { requireSecretName, requireSecretPrefix } from './secret-name.js';
import type { SecretReader, SecretStore } from './secret-store.js';

/** Records of a map, in clear: for tests, and for devices that keep nothing on disk. */
export class InMemorySecretReader implements SecretReader {
  /** `records` is asked for at each call, since a commit swaps the map. `guard` throws when the unit is over. */
  constructor(
    protected readonly records: () => Map<string, Buffer>,
    protected readonly guard: () => void = () => undefined,
  ) {}

  async read(name: string): Promise<Buffer | undefined> {
    await this.enter();
    requireSecretName(name);
    const value = this.records().get(name);
    return value === undefined ? undefined : Buffer.from(value);
  }

  async list(prefix: string, options: { after?: string; limit?: number } = {}): Promise<string[]> {
    await this.enter();
    requireSecretPrefix(prefix);
    const { after } = options;
    return [...this.records().keys()]
      .filter((name) => name.startsWith(prefix) && (after === undefined || name > after))
      .sort()
      .slice(0, options.limit);
  }

  /** Rejects rather than throws, as a database would. */
  protected enter(): Promise<void> {
    return Promise.resolve().then(this.guard);
  }
}

/** {@link InMemorySecretReader} within a unit of work. */
export class InMemorySecretStore extends InMemorySecretReader implements SecretStore {
  async write(name: string, value: Uint8Array): Promise<void> {
    const copy = Buffer.from(value);
    await this.enter();
    requireSecretName(name);
    this.records().set(name, copy);
  }

  async delete(name: string): Promise<boolean> {
    await this.enter();
    requireSecretName(name);
    return this.records().delete(name);
  }
}

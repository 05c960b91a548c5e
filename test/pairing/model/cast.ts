import { type KeyObject } from 'node:crypto';
import { makeCsr } from '../../../src/ca/csr-maker.js';
import { newDeviceId } from '../../../src/identity/device-id.js';
import { rawIdentityKey } from '../../../src/identity/ed25519.js';
import { identityFingerprint } from '../../../src/identity/fingerprint.js';
import { systemRandomBytes } from '../../../src/random/random-bytes.js';
import type { TestDevice } from '../pairing-world.js';
import { PERSONAS } from './pairing-model.js';
import { newKeyPair } from '../../../src/random/key-pair.js';

/** The real devices behind the model's personas, and the model's names for everything real. */
export class Cast {
  readonly #names = new Map<string, string>();
  readonly #devices: readonly TestDevice[];

  constructor() {
    const ids = byName(
      PERSONAS.map(({ id }) => id),
      () => newDeviceId({ now: () => Date.now() }, systemRandomBytes),
    );
    const identities = byName(
      PERSONAS.map(({ key }) => key),
      () => newKeyPair('ed25519').privateKey,
    );
    const certificates = byName(
      PERSONAS.map(({ certificateKey }) => certificateKey),
      newCertificate,
    );
    this.#devices = PERSONAS.map(({ id, key, certificateKey }) => ({
      deviceId: ids.get(id)!,
      identityKey: identities.get(key)!,
      ...certificates.get(certificateKey)!,
    }));
    for (const [name, deviceId] of ids) this.call(deviceId, name);
    for (const [name, key] of identities) this.call(identityFingerprint(rawIdentityKey(key)), name);
  }

  /** The real thing `real` (an id or a fingerprint) is called `name` from now on. */
  call(real: string, name: string): void {
    this.#names.set(real, name);
  }

  /** Throws for what the test has not made. */
  nameOf(real: string): string {
    const name = this.#names.get(real);
    if (name === undefined) throw new Error(`nobody made ${real}`);
    return name;
  }

  device(persona: number): TestDevice {
    return this.#devices[persona]!;
  }

  deviceId(name: string): string {
    return this.device(PERSONAS.findIndex(({ id }) => id === name)).deviceId;
  }

  /** Rows by the names of what they are about. */
  named<Row, Value>(
    rows: readonly Row[],
    idOf: (row: Row) => string,
    valueOf: (row: Row) => Value,
  ): Record<string, Value> {
    return Object.fromEntries(rows.map((row) => [this.nameOf(idOf(row)), valueOf(row)]));
  }
}

function newCertificate(): { certificateKey: KeyObject; csr: Buffer } {
  const certificateKey = newKeyPair('p256').privateKey;
  return { certificateKey, csr: makeCsr(certificateKey) };
}

function byName<Value>(names: readonly string[], make: () => Value): Map<string, Value> {
  return new Map([...new Set(names)].map((name) => [name, make()]));
}

import type { MasterKeySource } from '../secret-store/master-key.js';
import type { StoreSettings } from './settings.js';

/** Where the settings say that the master key is. */
export function masterKeySource(settings: StoreSettings): MasterKeySource {
  if (settings.passphraseFile !== undefined) {
    return { kind: 'passphrase-file', path: settings.passphraseFile };
  }
  return settings.keyFile === undefined
    ? { kind: 'default-key-file' }
    : { kind: 'key-file', path: settings.keyFile };
}

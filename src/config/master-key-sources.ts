import type { MasterKeySource } from '../secret-store/master-key.js';
import type { StoreSettings } from './settings.js';

/** Where the master key comes from, by the settings: also the one that the store is to change to. */
export function masterKeySources(settings: StoreSettings): {
  readonly masterKey: MasterKeySource;
  readonly nextMasterKey: MasterKeySource | undefined;
} {
  return {
    masterKey: fileSource(settings.keyFile, settings.passphraseFile) ?? { kind: 'default-key-file' },
    nextMasterKey: fileSource(settings.newKeyFile, settings.newPassphraseFile),
  };
}

function fileSource(
  keyFile: string | undefined,
  passphraseFile: string | undefined,
): MasterKeySource | undefined {
  if (passphraseFile !== undefined) return { kind: 'passphrase-file', path: passphraseFile };
  return keyFile === undefined ? undefined : { kind: 'key-file', path: keyFile };
}

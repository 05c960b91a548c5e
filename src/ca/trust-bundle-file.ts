import { join } from 'node:path';
import { replaceFile } from '../secret-store/atomic-file.js';
import { trustBundlePem, type TrustBundle } from './trust-bundle.js';

export const TRUST_BUNDLE_FILE = 'ca.pem';

/** `ca.pem` in the data directory: the roots, public, for clients on this machine. Whole at every moment. */
export async function writeBundleFile(dataDir: string, bundle: TrustBundle): Promise<void> {
  await replaceFile(join(dataDir, TRUST_BUNDLE_FILE), Buffer.from(trustBundlePem(bundle), 'ascii'));
}

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { encodePem } from '../../src/ca/pem.js';

/** zlint, built by scripts/install-zlint.sh; its version stands there. */
const ZLINT = join(import.meta.dirname, '..', '..', '.cache', 'zlint-v3.7.3', 'zlint');

export const hasZlint = existsSync(ZLINT);

/**
 * What a private CA is held to: RFC 5280 and the RFCs on its keys and names. Not the rules for public CAs: CABF_BR,
 * CABF_EV, CABF_CS_BR, CABF_SMIME_BR (policy identifiers, validation methods, public names), Mozilla, Chrome and Apple
 * (what their root programmes ask for), ETSI_ESI (qualified certificates).
 */
const SOURCES = ['RFC3279', 'RFC5280', 'RFC5480', 'RFC5891', 'RFC6962', 'RFC8813', 'Community'];

/** Lints of these sources that do not apply, each with the reason. */
const EXCLUDED: Readonly<Record<string, string>> = {
  n_san_iana_pub_suffix_empty:
    'asks for names under a public suffix; a control plane has `localhost` for its own machine',
};

interface LintResult {
  readonly result: 'NA' | 'NE' | 'pass' | 'info' | 'warn' | 'error' | 'fatal';
}

/** Names of the lints that found something in a certificate or revocation list, DER. */
export async function findings(kind: 'CERTIFICATE' | 'X509 CRL', der: Buffer): Promise<string[]> {
  const pem = encodePem('CERTIFICATE', der).replaceAll('CERTIFICATE', kind);
  const options = ['-includeSources', SOURCES.join(), '-excludeNames', Object.keys(EXCLUDED).join()];
  const results = JSON.parse(await run([...options, '-'], pem)) as Record<string, LintResult>;
  if (!Object.values(results).some(({ result }) => result === 'pass'))
    throw new Error('zlint has looked at nothing');
  return Object.entries(results)
    .filter(([, { result }]) => !['NA', 'NE', 'pass'].includes(result))
    .map(([name]) => name)
    .sort();
}

function run(args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(ZLINT, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let complaint = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`zlint ended with ${code}: ${complaint}`));
    });
    child.stdin.end(input);
  });
}

import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { makeCsr } from '../ca/csr-maker.js';
import { MAX_CSR_BYTES } from '../ca/csr.js';
import { spkiHash } from '../ca/public-key.js';
import { DomainError } from '../errors/domain-error.js';
import {
  type RenewalInput,
  parseRenewalRequest,
  renewalStatement,
  signRenewal,
  verifyRenewal,
} from './renewal-request.js';

interface RefusedCase {
  readonly case: string;
  readonly trust_domain: string;
  readonly device_id: string;
  readonly parent_hash: string;
  readonly csr: string;
  readonly identity_key: string;
  readonly signature: string;
  readonly reason: string;
}

interface Vector extends Omit<RefusedCase, 'identity_key' | 'reason' | 'case'> {
  readonly identity: { readonly pkcs8: string; readonly public_raw: string };
  readonly new_key: { readonly pkcs8: string; readonly spki: string };
  readonly signed: string;
  readonly refused: readonly RefusedCase[];
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const vector = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../test/vectors/renew.json'), 'utf8'),
) as Vector;

const inputOf = (
  of: Pick<Vector, 'device_id' | 'parent_hash' | 'csr' | 'signature'>,
): RenewalInput & { parent: Buffer; csr: Buffer } => ({
  deviceId: of.device_id,
  parent: hex(of.parent_hash),
  csr: hex(of.csr),
  signature: hex(of.signature),
});
const input = inputOf(vector);
const identityKey = hex(vector.identity.public_raw);
const privateKey = (pkcs8: string): ReturnType<typeof createPrivateKey> =>
  createPrivateKey({ key: hex(pkcs8), format: 'der', type: 'pkcs8' });

/** What `work` threw; fails when that was no DomainError. */
function reasonOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError) return error.reason;
    throw error;
  }
  return 'nothing was refused';
}

describe('the signed statement', () => {
  it('is that of the vector, and so is the signature', () => {
    expect(renewalStatement(vector.trust_domain, input).toString('hex')).toBe(vector.signed);
    expect(signRenewal(vector.trust_domain, input, privateKey(vector.identity.pkcs8))).toEqual(input);
  });

  it('verifies under the identity key, and names the requested key', async () => {
    const request = parseRenewalRequest(input);
    expect(await verifyRenewal(request, vector.trust_domain, identityKey)).toMatchObject({
      deviceId: vector.device_id,
      parent: vector.parent_hash,
      keyHash: spkiHash(hex(vector.new_key.spki)),
    });
  });

  it.each(vector.refused.map((refused) => [refused.case, refused] as const))(
    'does not verify %s',
    async (_name, refused) => {
      expect(refused.reason).toBe('signature');
      const request = parseRenewalRequest(inputOf(refused));
      expect(await verifyRenewal(request, refused.trust_domain, hex(refused.identity_key))).toBeUndefined();
    },
  );
});

describe('the form of a renewal', () => {
  it.each<[string, Partial<RenewalInput>]>([
    ['INVALID_DEVICE_ID', { deviceId: vector.device_id.toLowerCase() }],
    ['INVALID_PARENT', { parent: input.parent.subarray(1) }],
    ['INVALID_PARENT', { parent: Buffer.alloc(33) }],
    ['INVALID_SIGNATURE', { signature: Buffer.alloc(63) }],
    ['INVALID_SIGNATURE', { signature: Buffer.alloc(65) }],
    ['INVALID_CSR', { csr: Buffer.alloc(0) }],
    ['INVALID_CSR', { csr: Buffer.alloc(MAX_CSR_BYTES + 1) }],
  ])('is refused with %s', (reason, changes) => {
    expect(reasonOf(() => parseRenewalRequest({ ...input, ...changes }))).toBe(reason);
  });

  it('keeps its own copy of what it checked', async () => {
    const parent = Buffer.from(input.parent);
    const request = parseRenewalRequest({ ...input, parent });
    parent.fill(0);
    expect(await verifyRenewal(request, vector.trust_domain, identityKey)).toBeDefined();
  });
});

describe('the request in a renewal', () => {
  it('is looked at only once the signature holds', async () => {
    const csr = makeCsr(privateKey(vector.new_key.pkcs8));
    csr[csr.length - 1]! ^= 1;
    const signed = signRenewal(vector.trust_domain, { ...input, csr }, privateKey(vector.identity.pkcs8));
    const verify = (of: RenewalInput): Promise<unknown> =>
      verifyRenewal(parseRenewalRequest(of), vector.trust_domain, identityKey);
    await expect(verify(signed)).rejects.toMatchObject({
      reason: expect.stringMatching(/^(?:CSR_SIGNATURE|INVALID_CSR)$/),
    });
    expect(await verify({ ...signed, signature: input.signature })).toBeUndefined();
  });
});

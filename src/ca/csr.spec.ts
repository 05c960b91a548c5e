import 'reflect-metadata';
import { createPublicKey, sign } from 'node:crypto';
import type { KeyObject, webcrypto as WebCrypto } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { Crypto } from '@peculiar/webcrypto';
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509';
import fc from 'fast-check';
import { DomainError } from '../errors/domain-error.js';
import { makeCsr } from './csr-maker.js';
import { MAX_CSR_BYTES, verifyCsr } from './csr.js';
import { encodeBits, encodeContext, encodeDer, encodeSequence } from './der-writer.js';
import { newKeyPair } from '../random/key-pair.js';
import { foreignKeyPair } from '../../test/ca/foreign-key-pair.js';

const ECDSA_SHA256 = Buffer.from('300a06082a8648ce3d040302', 'hex');
const ECDSA_SHA384 = Buffer.from('300a06082a8648ce3d040303', 'hex');
const ED25519 = Buffer.from('300506032b6570', 'hex');
const RSA_SHA256 = Buffer.from('300d06092a864886f70d01010b0500', 'hex');

const p256 = newKeyPair('p256').privateKey;
const ed25519 = newKeyPair('ed25519').privateKey;

const spkiOf = (key: KeyObject): Buffer => createPublicKey(key).export({ format: 'der', type: 'spki' });

interface Parts {
  readonly version?: Buffer;
  readonly spki: Buffer;
  readonly algorithm: Buffer;
  readonly signer: KeyObject;
  readonly digest: string | null;
  readonly attributes?: Buffer;
  /** Behind the signature. */
  readonly trailer?: Buffer;
  /** Instead of the signer's. */
  readonly signature?: Buffer;
}

/** A request put together by hand, so that each part can be wrong. */
function request(parts: Parts): Buffer {
  const { version = Buffer.from('020100', 'hex'), attributes = encodeContext(0) } = parts;
  const info = encodeSequence(version, encodeSequence(), parts.spki, attributes);
  const { signature = sign(parts.digest, info, parts.signer), trailer = Buffer.alloc(0) } = parts;
  return encodeSequence(info, parts.algorithm, encodeBits(signature), trailer);
}

const good: Parts = { spki: spkiOf(p256), algorithm: ECDSA_SHA256, signer: p256, digest: 'sha256' };

function refusal(der: Uint8Array): string {
  try {
    verifyCsr(der);
  } catch (error) {
    if (error instanceof DomainError && error.kind === 'malformed') return error.reason;
    throw error;
  }
  return 'taken';
}

describe('a certificate request', () => {
  it.each([
    ['p256', p256],
    ['ed25519', ed25519],
  ] as const)('with a %s key gives its public key', (algorithm, key) => {
    const der = makeCsr(key);
    const csr = verifyCsr(der);
    expect(csr.algorithm).toBe(algorithm);
    expect(csr.spki.equals(spkiOf(key))).toBe(true);
    expect(csr.der.equals(der)).toBe(true);
  });

  it('of another library is taken, whatever it asks for', async () => {
    const crypto = new Crypto() as unknown as WebCrypto.Crypto;
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const names = new SubjectAlternativeNameExtension([{ type: 'dns', value: 'control-plane.example' }]);
    const made = await Pkcs10CertificateRequestGenerator.create(
      { name: 'CN=somebody else', keys, signingAlgorithm: algorithm, extensions: [names] },
      crypto,
    );
    const csr = verifyCsr(Buffer.from(made.rawData));
    expect(csr.spki.equals(Buffer.from(made.publicKey.rawData))).toBe(true);
    expect(Object.keys(csr).sort()).toEqual(['algorithm', 'der', 'spki']);
  });

  it('does not change when the caller writes over its bytes', () => {
    const der = makeCsr(p256);
    const csr = verifyCsr(der);
    der.fill(0);
    expect(csr.spki.equals(spkiOf(p256))).toBe(true);
  });
});

describe('a certificate request is refused', () => {
  const rsa = foreignKeyPair('rsa').privateKey;
  const p384 = foreignKeyPair('p384').privateKey;
  const other = newKeyPair('p256').privateKey;
  const point = spkiOf(p256).subarray(26);
  const compressed = encodeSequence(
    spkiOf(p256).subarray(2, 23),
    encodeBits(Buffer.concat([Buffer.of(2 + ((point[64] ?? 0) & 1)), point.subarray(1, 33)])),
  );
  const withPoint = (change: (bits: Buffer) => void): Buffer => {
    const spki = Buffer.from(spkiOf(p256));
    change(spki.subarray(26));
    return spki;
  };
  const edSpki = (y: string): Buffer => Buffer.from(`302a300506032b6570032100${y}`, 'hex');
  const edRequest = (spki: Buffer): Buffer =>
    request({ spki, algorithm: ED25519, signer: ed25519, digest: null });

  /** R the neutral element, S zero: under a key of order 1, OpenSSL verifies any message with it. */
  const forged = Buffer.concat([Buffer.of(1), Buffer.alloc(63)]);

  it.each<[string, string, () => Uint8Array]>([
    ['nothing', 'INVALID_CSR', () => Buffer.alloc(0)],
    ['no DER', 'INVALID_CSR', () => Buffer.from('-----BEGIN CERTIFICATE REQUEST-----')],
    ['trailing bytes', 'INVALID_CSR', () => Buffer.concat([makeCsr(p256), Buffer.of(0)])],
    ['trailing bytes inside', 'INVALID_CSR', () => request({ ...good, trailer: encodeDer(5) })],
    ['cut off', 'INVALID_CSR', () => makeCsr(p256).subarray(0, -1)],
    [
      'larger than 4 KiB',
      'INVALID_CSR',
      () => request({ ...good, attributes: encodeContext(0, Buffer.alloc(4096)) }),
    ],
    ['another version', 'INVALID_CSR', () => request({ ...good, version: Buffer.from('020101', 'hex') })],
    ['without attributes field', 'INVALID_CSR', () => request({ ...good, attributes: Buffer.alloc(0) })],
    [
      'more than there may be',
      'INVALID_CSR',
      () => request({ ...good, attributes: Buffer.concat([encodeContext(0), encodeDer(5)]) }),
    ],
    [
      'RSA',
      'UNSUPPORTED_KEY',
      () => request({ ...good, spki: spkiOf(rsa), algorithm: RSA_SHA256, signer: rsa }),
    ],
    [
      'X25519, which is as long as Ed25519',
      'UNSUPPORTED_KEY',
      () => edRequest(spkiOf(foreignKeyPair('x25519').privateKey)),
    ],
    ['P-384', 'UNSUPPORTED_KEY', () => request({ ...good, spki: spkiOf(p384), signer: p384 })],
    ['a compressed point', 'UNSUPPORTED_KEY', () => request({ ...good, spki: compressed })],
    [
      'a hybrid point',
      'UNSUPPORTED_KEY',
      () => request({ ...good, spki: withPoint((bits) => bits.writeUInt8(6)) }),
    ],
    [
      'a point off the curve',
      'INVALID_KEY',
      () => request({ ...good, spki: withPoint((bits) => bits.fill(1, 33)) }),
    ],
    [
      'the point at infinity',
      'INVALID_KEY',
      () => request({ ...good, spki: withPoint((bits) => bits.fill(0, 1)) }),
    ],
    ['an Ed25519 key of order 4', 'INVALID_KEY', () => edRequest(edSpki('00'.repeat(32)))],
    ['an Ed25519 key of order 1', 'INVALID_KEY', () => edRequest(edSpki(`01${'00'.repeat(31)}`))],
    [
      'an Ed25519 key under which anybody can sign',
      'INVALID_KEY',
      () =>
        request({
          spki: edSpki(`01${'00'.repeat(31)}`),
          algorithm: ED25519,
          signer: ed25519,
          digest: null,
          signature: forged,
        }),
    ],
    ['an Ed25519 key off the curve', 'INVALID_KEY', () => edRequest(edSpki(`02${'00'.repeat(31)}`))],
    ['an Ed25519 key above p', 'INVALID_KEY', () => edRequest(edSpki(`f0${'ff'.repeat(30)}7f`))],
    [
      'ECDSA with SHA-384',
      'UNSUPPORTED_SIGNATURE',
      () => request({ ...good, algorithm: ECDSA_SHA384, digest: 'sha384' }),
    ],
    [
      'a P-256 key that claims Ed25519',
      'UNSUPPORTED_SIGNATURE',
      () => request({ ...good, algorithm: ED25519 }),
    ],
    ['the key of another', 'CSR_SIGNATURE', () => request({ ...good, signer: other })],
    ['SHA-512 that claims to be SHA-256', 'CSR_SIGNATURE', () => request({ ...good, digest: 'sha512' })],
    ['an Ed25519 key of another', 'CSR_SIGNATURE', () => edRequest(spkiOf(newKeyPair('ed25519').privateKey))],
  ])('%s: %s', (_name, reason, make) => {
    expect(refusal(make())).toBe(reason);
  });

  it('at 4 KiB and one byte by its size alone', () => {
    expect(refusal(Buffer.alloc(MAX_CSR_BYTES + 1))).toBe('INVALID_CSR');
  });

  it.each([
    ['p256', makeCsr(p256)],
    ['ed25519', makeCsr(ed25519)],
  ])('whichever bit of it is turned (%s)', (_name, der) => {
    const bit = fc.integer({ min: 0, max: der.length * 8 - 1 });
    fc.assert(
      fc.property(bit, (place) => {
        const changed = Buffer.from(der);
        changed[place >> 3] = (changed[place >> 3] ?? 0) ^ (1 << (place & 7));
        expect(refusal(changed)).not.toBe('taken');
      }),
      { numRuns: 400 },
    );
  });

  it('whatever the bytes, without another error', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => refusal(bytes) === 'INVALID_CSR'));
  });
});

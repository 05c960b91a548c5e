import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { DomainError } from '../../errors/domain-error.js';
import { type HelloInput, parseHello, parseWelcome, type WelcomeInput } from './messages.js';
import { transcriptHash } from './transcript.js';

interface PairingVector {
  hello: Record<string, string>;
  welcome: Record<string, string> & { roots: string[] };
}
const vector = JSON.parse(readFileSync('test/vectors/pairing-pin.json', 'utf8')) as PairingVector;
const hex = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'hex');

const hello: HelloInput = {
  version: '2',
  suite: 'P256-SHA256-HKDF-SHA256-HMAC-SHA256',
  codeId: 'K7QM',
  deviceId: '01K9ZAYT3M4V5W6X7Y8Z9ABCDE',
  clientKind: 'node',
  platform: 'linux-x64',
  identityKey: hex(vector.hello['identity_key']),
  csrHash: Buffer.alloc(32, 1),
  shareP: hex(vector.hello['share_p']),
};
const welcome: WelcomeInput = {
  trustDomain: 'k7m2p9x4qd.palyra.internal',
  grpcEndpoints: ['palyra.example.org:7443'],
  quicEndpoints: [],
  epoch: 1780000000123n,
  sequence: 0n,
  roots: vector.welcome.roots.map(hex),
  shareV: hex(vector.welcome['share_v']),
  confirmV: Buffer.alloc(32),
};

function refusal(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    if (error instanceof DomainError && error.kind === 'malformed') return error.reason;
    throw error;
  }
  return 'accepted';
}

describe('hello', () => {
  it.each<[string, Partial<HelloInput>]>([
    ['a platform of 64 bytes', { platform: 'ä'.repeat(32) }],
    ['an empty platform', { platform: '' }],
    ['a link code id', { codeId: '7ZK4M9QX' }],
  ])('takes %s', (_case, changes) => {
    expect(parseHello({ ...hello, ...changes })).toMatchObject(changes);
  });

  it.each<[string, Partial<HelloInput>]>([
    ['UNSUPPORTED_VERSION', { version: '3' }],
    ['UNSUPPORTED_VERSION', { version: '02' }],
    ['UNSUPPORTED_VERSION', { version: '' }],
    ['UNSUPPORTED_SUITE', { suite: 'P256-SHA256-HKDF-SHA256-CMAC-AES128' }],
    ['INVALID_CODE_ID', { codeId: 'k7qm' }],
    ['INVALID_CODE_ID', { codeId: 'K7-QM' }],
    ['INVALID_CODE_ID', { codeId: 'K7Q' }],
    ['INVALID_CODE_ID', { codeId: 'O7QM' }],
    ['INVALID_CODE_ID', { codeId: '' }],
    ['INVALID_DEVICE_ID', { deviceId: hello.deviceId.toLowerCase() }],
    ['INVALID_CLIENT_KIND', { clientKind: 'Node' }],
    ['INVALID_CLIENT_KIND', { clientKind: '' }],
    ['INVALID_CLIENT_KIND', { clientKind: 'toString' }],
    ['INVALID_PLATFORM', { platform: `${'ä'.repeat(32)}x` }],
    ['INVALID_PLATFORM', { platform: 'linux\u0000' }],
    ['INVALID_PLATFORM', { platform: '\ud800' }],
    ['INVALID_IDENTITY_KEY', { identityKey: Buffer.alloc(32) }],
    ['INVALID_CSR_HASH', { csrHash: Buffer.alloc(31) }],
    ['INVALID_CSR_HASH', { csrHash: Buffer.alloc(33) }],
    ['INVALID_SHARE', { shareP: Buffer.alloc(65, 4) }],
  ])('is refused with %s: %j', (reason, changes) => {
    expect(refusal(() => parseHello({ ...hello, ...changes }))).toBe(reason);
  });
});

describe('welcome', () => {
  it('becomes numbers and buffers of its own', () => {
    const given = { ...welcome, confirmV: new Uint8Array(32) };
    const parsed = parseWelcome(given);
    given.confirmV[0] = 1;
    expect([parsed.epoch, parsed.sequence, parsed.confirmV]).toEqual([1780000000123, 0, Buffer.alloc(32)]);
  });

  it.each<[string, Partial<WelcomeInput>]>([
    ['INVALID_TRUST_DOMAIN', { trustDomain: '' }],
    ['INVALID_TRUST_DOMAIN', { trustDomain: 'Palyra.internal' }],
    ['INVALID_TRUST_DOMAIN', { trustDomain: 'palyra..internal' }],
    ['INVALID_TRUST_DOMAIN', { trustDomain: 'palyra.internal/' }],
    ['INVALID_TRUST_DOMAIN', { trustDomain: 'palyra.internal\n' }],
    ['INVALID_TRUST_DOMAIN', { trustDomain: `${'a.'.repeat(126)}ab` }],
    ['INVALID_ENDPOINT', { grpcEndpoints: ['palyra.example.org'] }],
    ['INVALID_ENDPOINT', { quicEndpoints: ['palyra.example.org:0'] }],
    ['INVALID_ROOTS', { roots: [] }],
    ['INVALID_ROOTS', { roots: [Buffer.alloc(1), Buffer.alloc(0)] }],
    ['INVALID_SHARE', { shareV: Buffer.alloc(65) }],
    ['INVALID_CONFIRMATION', { confirmV: Buffer.alloc(31) }],
    ['INVALID_EPOCH', { epoch: 2n ** 53n }],
    ['INVALID_EPOCH', { epoch: -1n }],
    ['INVALID_SEQUENCE', { sequence: 2n ** 53n + 1n }],
    ['INVALID_SEQUENCE', { sequence: 0.5 }],
  ])('is refused with %s', (reason, changes) => {
    expect(refusal(() => parseWelcome({ ...welcome, ...changes }))).toBe(reason);
  });
});

describe('anything at all', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 70 }),
    fc.constantFrom('2', 'K7QM', 'node', hello.suite),
  );
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 70 }), fc.constantFrom(hello.identityKey, hello.shareP));

  it('is refused as malformed, or can be hashed', () => {
    const anyHello = fc.record({
      version: fc.oneof({ weight: 3, arbitrary: fc.constant('2') }, { weight: 1, arbitrary: text }),
      suite: fc.oneof({ weight: 3, arbitrary: fc.constant(hello.suite) }, { weight: 1, arbitrary: text }),
      codeId: fc.oneof(fc.constant('K7QM'), text),
      deviceId: fc.oneof(fc.constant(hello.deviceId), text),
      clientKind: fc.oneof(fc.constant('node'), text),
      platform: text,
      identityKey: bytes,
      csrHash: fc.oneof(fc.constant(hello.csrHash), bytes),
      shareP: bytes,
    });
    const checkedWelcome = parseWelcome(welcome);
    fc.assert(
      fc.property(anyHello, (input) => {
        if (refusal(() => parseHello(input)) !== 'accepted') return;
        expect(transcriptHash(parseHello(input), checkedWelcome)).toHaveLength(32);
      }),
      { numRuns: 300 },
    );
  });
});

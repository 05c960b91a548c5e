import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { systemRandomBytes } from '../random/random-bytes.js';
import { deriveSessionKeys, type Identities, transcript } from './key-schedule.js';
import { drawScalar, InvalidPointError, Point, Scalar } from './p256.js';
import { Prover } from './prover.js';
import { decoyVerifier, makeVerifier, verifierRespond, verifierShare } from './verifier.js';

const rfc = JSON.parse(readFileSync('test/vectors-rfc/rfc9383-p256-sha256.json', 'utf8')) as Record<
  string,
  string
>;
const bytes = (name: string): Buffer => Buffer.from(rfc[name]!, 'hex');
const identities: Identities = {
  context: Buffer.from(rfc['context']!),
  prover: Buffer.from(rfc['id_prover']!),
  verifier: Buffer.from(rfc['id_verifier']!),
};
const verifier = makeVerifier(bytes('w0'), bytes('w1'));
const y = Scalar.of(bytes('y'));
const respondTo = (shareP: Buffer): ReturnType<typeof verifierRespond> =>
  verifierRespond({ verifier, y, shareP, shareV: bytes('share_v'), identities });

describe('RFC 9383 appendix C', () => {
  it('is what the verifier computes', () => {
    expect(verifier.L).toEqual(bytes('L'));
    expect(verifierShare(verifier, y)).toEqual(bytes('share_v'));
    expect(respondTo(bytes('share_p'))).toEqual({
      confirmP: bytes('confirm_p'),
      confirmV: bytes('confirm_v'),
      sharedKey: bytes('K_shared'),
      degenerate: false,
    });
  });

  it('is what the prover computes', () => {
    const prover = new Prover(bytes('w0'), bytes('w1'), Scalar.of(bytes('x')));
    expect(prover.shareP).toEqual(bytes('share_p'));
    expect(prover.finish(bytes('share_v'), bytes('confirm_v'), identities)).toEqual({
      confirmP: bytes('confirm_p'),
      sharedKey: bytes('K_shared'),
    });
  });

  it('is what the key schedule computes from Z and V, step by step', () => {
    const elements = {
      shareP: bytes('share_p'),
      shareV: bytes('share_v'),
      Z: Point.parse(bytes('Z')),
      V: Point.parse(bytes('V')),
      w0: bytes('w0'),
    };
    const mainKey = createHash('sha256').update(transcript(identities, elements)).digest();
    expect(mainKey).toEqual(bytes('K_main'));
    const confirmation = Buffer.from(hkdfSync('sha256', mainKey, '', 'ConfirmationKeys', 64));
    expect(confirmation).toEqual(Buffer.concat([bytes('K_confirmP'), bytes('K_confirmV')]));
    const keys = deriveSessionKeys(identities, elements);
    expect(keys.confirmP).toEqual(
      createHmac('sha256', bytes('K_confirmP')).update(bytes('share_v')).digest(),
    );
    expect(keys.confirmV).toEqual(
      createHmac('sha256', bytes('K_confirmV')).update(bytes('share_p')).digest(),
    );
  });
});

describe('prover and verifier', () => {
  it('agree for any password, x and y', () => {
    for (let run = 0; run < 15; run += 1) {
      const [w0, w1] = [drawScalar(systemRandomBytes), drawScalar(systemRandomBytes)];
      const other = makeVerifier(w0, w1);
      const prover = new Prover(w0, w1, Scalar.random(systemRandomBytes));
      const otherY = Scalar.random(systemRandomBytes);
      const shareV = verifierShare(other, otherY);
      const answer = verifierRespond({
        verifier: other,
        y: otherY,
        shareP: prover.shareP,
        shareV,
        identities,
      });
      const keys = prover.finish(shareV, answer.confirmV, identities);
      expect(keys).toEqual({ confirmP: answer.confirmP, sharedKey: answer.sharedKey });
    }
  });

  it('do not agree when w0, w1 or an identity differs, or confirmV is cut', () => {
    const x = Scalar.of(bytes('x'));
    const wrong = Buffer.alloc(32, 7);
    const { confirmV } = respondTo(bytes('share_p'));
    const right = new Prover(bytes('w0'), bytes('w1'), x);
    expect(right.finish(bytes('share_v'), confirmV, identities)).toBeDefined();
    expect(new Prover(wrong, bytes('w1'), x).finish(bytes('share_v'), confirmV, identities)).toBeUndefined();
    expect(new Prover(bytes('w0'), wrong, x).finish(bytes('share_v'), confirmV, identities)).toBeUndefined();
    expect(right.finish(bytes('share_v'), confirmV, { ...identities, prover: wrong })).toBeUndefined();
    expect(right.finish(bytes('share_v'), confirmV, { ...identities, verifier: wrong })).toBeUndefined();
    expect(right.finish(bytes('share_v'), confirmV, { ...identities, context: wrong })).toBeUndefined();
    expect(right.finish(bytes('share_v'), confirmV.subarray(0, 31), identities)).toBeUndefined();
  });

  it('notice a share that makes Z infinite', () => {
    const degenerate = respondTo(verifier.w0M);
    expect(degenerate.degenerate).toBe(true);
    expect(degenerate.confirmV).toHaveLength(32);
    const prover = new Prover(bytes('w0'), bytes('w1'), Scalar.of(bytes('x')));
    expect(prover.finish(verifier.w0N, Buffer.alloc(32), identities)).toBeUndefined();
  });

  it('go on with a share of −w0·M, which makes the subtraction a doubling', () => {
    const share = Point.parse(verifier.w0M).negate().encode();
    expect(respondTo(share).degenerate).toBe(false);
  });

  it('refuse what is no point', () => {
    const prover = new Prover(bytes('w0'), bytes('w1'), Scalar.of(bytes('x')));
    expect(() => respondTo(Buffer.from([0]))).toThrow(InvalidPointError);
    expect(() => prover.finish(Buffer.from([0]), Buffer.alloc(32), identities)).toThrow(InvalidPointError);
  });
});

describe('a decoy verifier', () => {
  it('answers like one, with a form that cannot be told from a live one', () => {
    const decoy = decoyVerifier(systemRandomBytes);
    expect(Object.entries(decoy).map(([name, value]) => [name, (value as Buffer).length])).toEqual(
      Object.entries(verifier).map(([name, value]) => [name, (value as Buffer).length]),
    );
    const shareV = verifierShare(decoy, y);
    const answer = verifierRespond({ verifier: decoy, y, shareP: bytes('share_p'), shareV, identities });
    const prover = new Prover(bytes('w0'), bytes('w1'), Scalar.of(bytes('x')));
    expect(prover.finish(shareV, answer.confirmV, identities)).toBeUndefined();
  });
});

import { describe, expect, it } from '@jest/globals';
import { p256 } from '@noble/curves/nist.js';
import fc from 'fast-check';
import { systemRandomBytes } from '../random/random-bytes.js';
import { POINT_M, POINT_N } from './key-schedule.js';
import { drawScalar, GROUP_ORDER, InvalidPointError, Point, reduceToScalar, Scalar } from './p256.js';

const anyScalar = fc.bigInt({ min: 1n, max: GROUP_ORDER - 2n });
const edges = [1n, 2n, 3n, GROUP_ORDER - 3n, GROUP_ORDER - 2n];
const scalarBytes = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
const noblePoint = (value: bigint): InstanceType<typeof p256.Point> => p256.Point.BASE.multiply(value);
const ours = (point: InstanceType<typeof p256.Point>): Point => Point.parse(point.toBytes(false));
const sequence = (...draws: Buffer[]) => {
  const left = [...draws];
  return (): Buffer => Buffer.from(left.shift()!);
};

describe('M and N', () => {
  it('are those of RFC 9383 §4', () => {
    const M = p256.Point.fromHex('02886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f');
    const N = p256.Point.fromHex('03d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49');
    expect(POINT_M.encode().toString('hex')).toBe(M.toHex(false));
    expect(POINT_N.encode().toString('hex')).toBe(N.toHex(false));
  });
});

describe('scalar products', () => {
  const agree = (k: bigint, q: bigint): void => {
    const scalar = Scalar.of(scalarBytes(k));
    expect(scalar.multiplyBase().encode().toString('hex')).toBe(noblePoint(k).toHex(false));
    const product = scalar.multiply(ours(noblePoint(q)));
    expect(product.encode().toString('hex')).toBe(noblePoint(q).multiply(k).toHex(false));
  };

  it('agree with noble', () => {
    fc.assert(fc.property(anyScalar, anyScalar, agree), { numRuns: 60 });
  });

  it('agree with noble at the edges of the range', () => {
    for (const k of edges) {
      for (const q of edges) agree(k, q);
    }
  });

  it.each([
    ['zero', scalarBytes(0n)],
    ['n − 1, whose successor is infinity', scalarBytes(GROUP_ORDER - 1n)],
    ['n', scalarBytes(GROUP_ORDER)],
    ['31 bytes', Buffer.alloc(31, 1)],
    ['no bytes', Buffer.alloc(0)],
  ])('refuse %s', (_case, bytes) => {
    expect(() => Scalar.of(bytes)).toThrow(RangeError);
  });
});

describe('addition', () => {
  const sumOf = (p: bigint, q: bigint): string | undefined =>
    ours(noblePoint(p))
      .add(ours(noblePoint(q)))
      ?.encode()
      .toString('hex');

  it('agrees with noble', () => {
    fc.assert(
      fc.property(anyScalar, anyScalar, (p, q) => {
        fc.pre(p + q !== GROUP_ORDER);
        expect(sumOf(p, q)).toBe(noblePoint(p).add(noblePoint(q)).toHex(false));
      }),
      { numRuns: 60 },
    );
  });

  it('doubles equal points', () => {
    expect(sumOf(5n, 5n)).toBe(noblePoint(10n).toHex(false));
  });

  it('says when the sum is infinite', () => {
    expect(sumOf(5n, GROUP_ORDER - 5n)).toBeUndefined();
    const point = ours(noblePoint(5n));
    expect(point.add(point.negate())).toBeUndefined();
  });
});

describe('parsing points', () => {
  it('reads back what it wrote and refuses everything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 60, maxLength: 70 }), (bytes) => {
        expect(() => Point.parse(bytes)).toThrow(InvalidPointError);
      }),
    );
    const bytes = Buffer.from(noblePoint(7n).toBytes(false));
    expect(Point.parse(bytes).encode()).toEqual(bytes);
  });
});

describe('random scalars', () => {
  it('throw away what is out of range', () => {
    const good = scalarBytes(GROUP_ORDER - 2n);
    const draws = sequence(scalarBytes(0n), Buffer.alloc(32, 0xff), scalarBytes(GROUP_ORDER - 1n), good);
    expect(drawScalar(draws)).toEqual(good);
  });

  it('give up on a source that is stuck', () => {
    expect(() => drawScalar((size) => Buffer.alloc(size))).toThrow('no scalar in range');
  });

  it('differ', () => {
    const points = Array.from({ length: 8 }, () => Scalar.random(systemRandomBytes).multiplyBase().x);
    expect(new Set(points).size).toBe(8);
  });
});

describe('reduction mod n', () => {
  it('is that of 40 bytes, big-endian', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 40, maxLength: 40 }), (bytes) => {
        const expected = BigInt(`0x${Buffer.from(bytes).toString('hex')}`) % GROUP_ORDER;
        expect(reduceToScalar(bytes)).toEqual(scalarBytes(expected));
      }),
    );
  });
});

import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { PairWelcome } from '../../src/generated/palyra/controlplane/v1/node_service.js';
import type { Welcome } from '../../src/pairing/protocol/messages.js';
import { Point, Scalar } from '../../src/spake2plus/p256.js';
import { cheapPassword } from './cheap-password.js';
import type { Observed } from './observed-store.js';
import { PairingWorld, admin, newTestDevice, refusal } from './pairing-world.js';

/** Whatever a stranger could tell codes apart by, as far as it can be counted. */
interface Answer {
  readonly store: readonly string[];
  readonly products: number;
  readonly pointsParsed: number;
  readonly recordsOpened: number;
  readonly welcomeBytes: number;
  readonly refusal: { readonly kind: string; readonly reason: string; readonly message: string };
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

describe('a stranger who tries a code', () => {
  const observed: Observed = [];
  let world: PairingWorld;

  beforeAll(async () => {
    world = await PairingWorld.open({ passwordOf: cheapPassword, observed });
  });

  afterAll(async () => {
    jest.restoreAllMocks();
    await world.remove();
  });

  const mint = async (kind: 'pin' | 'link'): Promise<{ codeId: string; secretText: string }> => {
    const { code, secretText } = await world.codes.mint(admin, { kind });
    return { codeId: code.codeId, secretText };
  };

  /** One hello and one proof out of thin air, and what they made the server do. */
  async function tried(codeId: string): Promise<Answer> {
    const multiply = jest.spyOn(Scalar.prototype, 'multiply');
    const multiplyBase = jest.spyOn(Scalar.prototype, 'multiplyBase');
    const parse = jest.spyOn(Point, 'parse');
    // The stranger's own work is done before the counting.
    const stranger = world.stranger(codeId);
    for (const spy of [multiply, multiplyBase, parse]) spy.mockClear();
    observed.length = 0;
    const session = await world.server.begin(stranger.hello, '203.0.113.9');
    const refused = await refusal(session.finish(stranger.proof));
    session.end();
    return {
      store: [...observed],
      products: multiply.mock.calls.length + multiplyBase.mock.calls.length,
      pointsParsed: parse.mock.calls.length,
      recordsOpened: observed.filter((call) => call === 'secrets.read').length,
      welcomeBytes: bytesOnTheWire(session.welcome),
      refusal: { kind: refused.kind, reason: refused.reason, message: refused.message },
    };
  }

  const states = {
    unknown: (kind: 'pin' | 'link') => Promise.resolve(kind === 'pin' ? '0000' : '00000000'),
    used: async (kind: 'pin' | 'link') => {
      const { codeId, secretText } = await mint(kind);
      await world.paired(newTestDevice(), secretText);
      return codeId;
    },
    withdrawn: async (kind: 'pin' | 'link') => {
      const { codeId } = await mint(kind);
      await world.codes.withdraw(admin, codeId, '');
      return codeId;
    },
    live: async (kind: 'pin' | 'link') => (await mint(kind)).codeId,
    expired: async (kind: 'pin' | 'link') => {
      const { codeId } = await mint(kind);
      world.clock.advance(kind === 'pin' ? 10 * MINUTE_MS : DAY_MS);
      return codeId;
    },
    'expired and swept': async (kind: 'pin' | 'link') => {
      const { codeId } = await mint(kind);
      world.clock.advance(kind === 'pin' ? 10 * MINUTE_MS : DAY_MS);
      await world.housekeeping.run();
      return codeId;
    },
    spent: async (kind: 'pin' | 'link') => {
      const { codeId } = await mint(kind);
      for (let i = 0; i < 3; i += 1) await refusal(world.guess(codeId));
      return codeId;
    },
    'spent and swept': async (kind: 'pin' | 'link') => {
      const { codeId } = await mint(kind);
      for (let i = 0; i < 3; i += 1) await refusal(world.guess(codeId));
      world.clock.advance(2 * MINUTE_MS);
      await world.housekeeping.run();
      return codeId;
    },
  };

  it.each(['pin', 'link'] as const)(
    'meets the same work and the same answer, whatever the %s code is',
    async (kind) => {
      const answers: Record<string, Answer> = {};
      for (const [state, codeIdOf] of Object.entries(states))
        answers[state] = await tried(await codeIdOf(kind));
      const { live } = answers;
      expect(live).toBeDefined();
      expect(answers).toEqual(Object.fromEntries(Object.keys(states).map((state) => [state, live])));
      // And what that work is: a count of nothing would be equal as well.
      const commits = live!.store.filter((call) => call === 'commit');
      expect(commits).toHaveLength(kind === 'pin' ? 1 : 0);
      expect(live).toMatchObject({ products: 3, recordsOpened: 1, refusal: { reason: 'PAIRING_REFUSED' } });
      expect(live!.store.filter((call) => call.startsWith('committed.'))).toEqual([
        'committed.findOneBy PairingCodeRow',
      ]);
    },
  );
});

/** The audit sequence grows with what the test itself does meanwhile, so it is left out of the count. */
function bytesOnTheWire({ epoch, grpcEndpoints, quicEndpoints, roots, ...welcome }: Welcome): number {
  const message = PairWelcome.fromPartial({
    ...welcome,
    grpcEndpoints: [...grpcEndpoints],
    quicEndpoints: [...quicEndpoints],
    roots: [...roots],
    epoch: BigInt(epoch),
    sequence: 0n,
  });
  return PairWelcome.encode(message).finish().length;
}

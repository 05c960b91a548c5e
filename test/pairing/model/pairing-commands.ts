import fc from 'fast-check';
import type { PairingDriver } from './pairing-driver.js';
import { explanations } from './linearize.js';
import { type CodeTerms, DEVICE_IDS, type ModelState, type Operation, PERSONAS } from './pairing-model.js';
import { factsOf } from './stored-facts.js';

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** The model as it goes through a run, and how many names it has given. */
export interface Run {
  model: ModelState;
  named: number;
  /** Told of each operation that held. */
  readonly seen: (operation: Operation, outcome: string) => void;
}

/** An operation before it is known which codes and requests there are: it picks among the newest. */
export type Draft =
  | ({ readonly kind: 'mint' } & CodeTerms)
  | { readonly kind: 'withdraw' | 'guess' | 'reject' | 'collect'; readonly pick: number }
  | { readonly kind: 'hello'; readonly persona: number; readonly pick: number }
  | { readonly kind: 'proof'; readonly pick: number; readonly faulty: boolean }
  | { readonly kind: 'approve'; readonly pick: number; readonly replace: boolean }
  | { readonly kind: 'revoke' | 'clear'; readonly id: string }
  | { readonly kind: 'housekeeping' | 'restart' }
  | { readonly kind: 'advance'; readonly ms: number };

/**
 * Operations that run at once on the real services. The step holds if some order of their moments explains every answer
 * and what is stored afterwards.
 */
export class AtOnce implements fc.AsyncCommand<Run, PairingDriver> {
  constructor(private readonly drafts: readonly Draft[]) {}

  check(run: Readonly<Run>): boolean {
    return this.#operations({ ...run }).length > 0;
  }

  async run(run: Run, driver: PairingDriver): Promise<void> {
    const operations = this.#operations(run);
    const outcomes = await Promise.all(operations.map((operation) => driver.run(operation)));
    const ran = operations.map((operation, index) => ({ operation, outcome: outcomes[index]! }));
    const possible = explanations(run.model, ran);
    const stored = JSON.stringify(sorted(await driver.stored()));
    const holds = possible.find((model) => JSON.stringify(sorted(factsOf(model))) === stored);
    if (holds === undefined) throw new Error(divergence(ran, possible, stored));
    run.model = holds;
    for (const { operation, outcome } of ran) run.seen(operation, outcome);
  }

  toString(): string {
    return JSON.stringify(this.drafts);
  }

  /** Those that have something to be about; a handshake takes one proof. */
  #operations(run: Run): Operation[] {
    const proved = new Set<string>();
    return this.drafts.flatMap((draft): Operation[] => {
      const operation = resolve(draft, run);
      if (operation?.kind !== 'proof') return operation === undefined ? [] : [operation];
      if (proved.has(operation.handshake)) return [];
      proved.add(operation.handshake);
      return [operation];
    });
  }
}

function resolve(draft: Draft, run: Run): Operation | undefined {
  const { kinds, handshakes, audit } = run.model;
  switch (draft.kind) {
    case 'mint':
      return { ...draft, code: nextName(run, 'code') };
    case 'withdraw':
    case 'guess': {
      const code = newest(Object.keys(kinds), draft.pick);
      return code === undefined ? undefined : { kind: draft.kind, code };
    }
    case 'hello': {
      const code = newest(Object.keys(kinds), draft.pick);
      if (code === undefined) return undefined;
      return { kind: 'hello', handshake: nextName(run, 'pairing'), persona: draft.persona, code };
    }
    case 'proof': {
      const handshake = newest(Object.keys(handshakes), draft.pick);
      return handshake === undefined ? undefined : { kind: 'proof', handshake, faulty: draft.faulty };
    }
    case 'approve':
    case 'reject':
    case 'collect': {
      // Also those whose rows are forgotten: their device may still ask.
      const request = newest(requestsEver(audit), draft.pick);
      if (request === undefined) return undefined;
      if (draft.kind !== 'approve') return { kind: draft.kind, request };
      return { kind: 'approve', request, replace: draft.replace };
    }
    case 'revoke':
    case 'clear':
    case 'housekeeping':
    case 'advance':
    case 'restart':
      return draft;
  }
}

const REQUESTED = 'pairing.requested ';

function requestsEver(audit: ModelState['audit']): string[] {
  const entries = Object.keys(audit).filter((entry) => entry.startsWith(REQUESTED));
  return entries.map((entry) => entry.slice(REQUESTED.length));
}

function nextName(run: Run, kind: string): string {
  run.named += 1;
  return `${kind}-${String(run.named)}`;
}

/** The newest for 0, the one before for 1, and so on round. */
function newest(names: readonly string[], pick: number): string | undefined {
  return names.length === 0 ? undefined : names[names.length - 1 - (pick % names.length)];
}

/** The order in which things came to be does not count. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

function divergence(ran: unknown, possible: readonly ModelState[], stored: string): string {
  const expected = possible.map((model) => JSON.stringify(sorted(factsOf(model))));
  return `no order explains ${JSON.stringify(ran)}\nstored:   ${stored}\nexpected: ${expected.join('\n      or: ')}`;
}

const pick = fc.nat({ max: 3 });
/** The first one in half of all cases, so that devices meet themselves again. */
const persona = fc.oneof(fc.constant(0), fc.nat({ max: PERSONAS.length - 1 }));
const id = fc.oneof(fc.constant(DEVICE_IDS[0]!), fc.constantFrom(...DEVICE_IDS));
/** Just before and at the ends of grace times, codes, requests and certificates, and long after; whole seconds, as X.509. */
const ms = fc.constantFrom(
  SECOND_MS,
  MINUTE_MS,
  10 * MINUTE_MS - SECOND_MS,
  61 * MINUTE_MS,
  DAY_MS - SECOND_MS,
  DAY_MS,
  31 * DAY_MS,
);

/** What may run beside others. */
const draft: fc.Arbitrary<Draft> = fc.oneof(
  { weight: 4, arbitrary: minted() },
  { weight: 7, arbitrary: fc.record({ kind: fc.constant('hello'), persona, pick }) },
  { weight: 7, arbitrary: fc.record({ kind: fc.constant('proof'), pick, faulty: often(false) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('approve'), pick, replace: often(false) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('collect'), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('guess', 'reject', 'withdraw'), pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('revoke', 'clear'), id }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('housekeeping') }) },
);

/** What the world does between two moments. */
const pause: fc.Arbitrary<Draft> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('advance'), ms }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart') }) },
);

/** True is drawn once in five for `false`, and the other way round. */
function often(value: boolean): fc.Arbitrary<boolean> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant(value) },
    { weight: 1, arbitrary: fc.constant(!value) },
  );
}

/** Steps that follow each other, so that runs get far more often than by chance. */
class InTurn implements fc.AsyncCommand<Run, PairingDriver> {
  constructor(private readonly steps: readonly AtOnce[]) {}

  check(): boolean {
    return true;
  }

  async run(run: Run, driver: PairingDriver): Promise<void> {
    for (const step of this.steps) {
      if (step.check(run)) await step.run(run, driver);
    }
  }

  toString(): string {
    return this.steps.join(' ');
  }
}

const one = (draft: Draft): AtOnce => new AtOnce([draft]);

/** A code, and a request with it, which two operators may decide on at once. */
const requested = fc
  .record({
    mint: minted(),
    persona,
    decisions: fc.array(decision(), { minLength: 1, maxLength: 2 }),
  })
  .map(
    ({ mint, persona: device, decisions }) =>
      new InTurn([
        one(mint),
        one({ kind: 'hello', persona: device, pick: 0 }),
        one({ kind: 'proof', pick: 0, faulty: false }),
        new AtOnce(decisions),
      ]),
  );

function minted(): fc.Arbitrary<{ kind: 'mint' } & CodeTerms> {
  return fc
    .record({ link: fc.boolean(), uses: fc.integer({ min: 1, max: 3 }), preApproved: often(false) })
    .map(({ link, ...terms }) =>
      link
        ? { kind: 'mint', as: 'link', ...terms }
        : { kind: 'mint', as: 'pin', uses: 1, preApproved: false },
    );
}

function decision(): fc.Arbitrary<Draft> {
  return fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('approve'), pick: fc.constant(0), replace: often(false) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('reject', 'collect'), pick: fc.constant(0) }) },
  );
}

/** Time passes and is noticed. */
const later = ms.map(
  (time) => new InTurn([one({ kind: 'advance', ms: time }), one({ kind: 'housekeeping' })]),
);

/** Two handshakes with one code, whose proofs race. */
const raced = persona.map(
  (device) =>
    new InTurn([
      one({ kind: 'mint', as: 'pin', uses: 1, preApproved: false }),
      new AtOnce([
        { kind: 'hello', persona: device, pick: 0 },
        { kind: 'hello', persona: (device + 1) % PERSONAS.length, pick: 0 },
      ]),
      new AtOnce([
        { kind: 'proof', pick: 0, faulty: false },
        { kind: 'proof', pick: 1, faulty: false },
      ]),
    ]),
);

export function pairingCommands(): fc.Arbitrary<Iterable<fc.AsyncCommand<Run, PairingDriver>>> {
  const together = fc.array(draft, { minLength: 2, maxLength: 3 }).map((drafts) => new AtOnce(drafts));
  const anything = fc.oneof(
    { weight: 4, arbitrary: draft.map(one) },
    { weight: 3, arbitrary: together },
    { weight: 5, arbitrary: requested },
    { weight: 1, arbitrary: raced },
    { weight: 2, arbitrary: pause.map(one) },
    { weight: 1, arbitrary: later },
  );
  return fc.commands([anything], { maxCommands: 12, size: '+1' });
}

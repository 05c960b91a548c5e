/**
 * What pairing promises (DESIGN §5, §9), as a state machine a reader can hold against the page: no cryptography, no
 * storage, names in place of bytes. What happens at one moment is one {@link Step}; an operation that reads and writes
 * at different moments is several, and others may come in between.
 */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const LIFE_MS = { pin: 10 * MINUTE_MS, link: DAY_MS } as const;
const TRIES = 3;
const TRY_ROW_MS = HOUR_MS;
/** A spent code stays for a handshake that has begun with the last try. */
const SPENT_GRACE_MS = MINUTE_MS;
const REQUEST_LIFE_MS = DAY_MS;
const CERTIFICATE_LIFE_MS = DAY_MS;
const DECIDED_ROW_MS = 30 * DAY_MS;

/** Who applies: a device id, an identity key and a certificate key, each by a name. */
export interface Persona {
  readonly id: string;
  readonly key: string;
  readonly certificateKey: string;
}

/** Devices of their own, one set up anew, a copied identity key, a copied certificate key. */
export const PERSONAS: readonly Persona[] = [
  { id: 'A', key: 'a', certificateKey: '1' },
  { id: 'B', key: 'b', certificateKey: '2' },
  { id: 'A', key: 'a2', certificateKey: '3' },
  { id: 'C', key: 'a', certificateKey: '4' },
  { id: 'D', key: 'd', certificateKey: '1' },
];

export const DEVICE_IDS = [...new Set(PERSONAS.map(({ id }) => id))];

export type RequestState = 'pending_approval' | 'approved' | 'completed' | 'rejected' | 'expired';

export interface ModelRequest {
  state: RequestState;
  readonly persona: number;
  expiresAt: number;
  decidedAt: number | null;
}

/** Certificates are named by the request that they were issued for. */
export interface ModelIdentity {
  readonly key: string;
  readonly current: string;
  readonly previous: string | null;
}

/** What an operator mints: a PIN code is for one device that a person approves. */
export interface ModelCode {
  readonly kind: 'pin' | 'link';
  readonly expiresAt: number;
  usesLeft: number;
  readonly preApproved: boolean;
}

export interface CodeTerms {
  readonly as: 'pin' | 'link';
  readonly uses: number;
  readonly preApproved: boolean;
}

/** All that is stored; codes, handshakes and requests by the names that the test gave them. */
export interface ModelState {
  now: number;
  readonly codes: Record<string, ModelCode>;
  readonly tries: Record<string, { count: number; lastAt: number }>;
  /** Kinds of all codes there ever were. */
  readonly kinds: Record<string, 'pin' | 'link'>;
  /** Handshakes with a believed welcome, in the server's memory. */
  readonly handshakes: Record<string, { readonly persona: number; readonly code: string }>;
  readonly requests: Record<string, ModelRequest>;
  readonly identities: Record<string, ModelIdentity>;
  readonly certificates: Record<
    string,
    { readonly id: string; readonly key: string; readonly expiresAt: number }
  >;
  /** Device id to the identity key that was revoked with it. */
  readonly revoked: Record<string, string>;
  /** How many entries there are of each action and subject, but those of tries. */
  readonly audit: Record<string, number>;
  /** Tries of PIN codes that were ever spent. */
  triesSpent: number;
}

export type Operation =
  | ({ readonly kind: 'mint'; readonly code: string } & CodeTerms)
  | { readonly kind: 'withdraw'; readonly code: string }
  | { readonly kind: 'hello'; readonly handshake: string; readonly persona: number; readonly code: string }
  | { readonly kind: 'guess'; readonly code: string }
  | { readonly kind: 'proof'; readonly handshake: string; readonly faulty: boolean }
  | { readonly kind: 'approve'; readonly request: string; readonly replace: boolean }
  | { readonly kind: 'reject'; readonly request: string }
  | { readonly kind: 'collect'; readonly request: string }
  | { readonly kind: 'revoke'; readonly id: string }
  | { readonly kind: 'clear'; readonly id: string }
  | { readonly kind: 'housekeeping' }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'restart' };

/** What an operation remembers from one of its moments to the next. */
export interface Memory {
  mayTry?: boolean;
}

/** One moment of an operation. It may change the state; it returns the outcome once there is one. */
export type Step = (state: ModelState, memory: Memory) => string | undefined;

export function emptyModel(now: number): ModelState {
  return {
    now,
    codes: {},
    tries: {},
    kinds: {},
    handshakes: {},
    requests: {},
    identities: {},
    certificates: {},
    revoked: {},
    audit: {},
    triesSpent: 0,
  };
}

/** The moments of an operation, in their order. The first outcome ends it. */
export function stepsOf(operation: Operation): Step[] {
  switch (operation.kind) {
    case 'mint':
      return [(state) => mint(state, operation.code, operation)];
    case 'withdraw':
      return [(state) => withdraw(state, operation.code)];
    case 'hello':
      return hello(operation);
    case 'guess':
      return [(state) => (spendTry(state, operation.code), 'PAIRING_REFUSED')];
    case 'proof':
      return [(state) => proof(state, operation.handshake, operation.faulty)];
    case 'approve':
      return [(state) => approve(state, operation.request, operation.replace)];
    case 'reject':
      return [(state) => reject(state, operation.request)];
    case 'collect':
      return collect(operation.request);
    case 'revoke':
      return [(state) => revoke(state, operation.id)];
    case 'clear':
      return [(state) => clear(state, operation.id)];
    case 'housekeeping':
      return [(state) => housekeeping(state)];
    case 'advance':
      return [(state) => ((state.now += operation.ms), 'done')];
    case 'restart':
      return [restart];
  }
}

function mint(state: ModelState, code: string, { as: kind, uses, preApproved }: CodeTerms): string {
  state.codes[code] = { kind, expiresAt: state.now + LIFE_MS[kind], usesLeft: uses, preApproved };
  state.kinds[code] = kind;
  audited(state, 'pairing.code_created', code);
  return 'done';
}

function withdraw(state: ModelState, code: string): string {
  if (!isLive(state, code)) return 'CODE_NOT_FOUND';
  remove(state.codes, code);
  audited(state, 'pairing.code_withdrawn', code);
  return 'done';
}

const isLive = (state: ModelState, code: string): boolean => (state.codes[code]?.expiresAt ?? 0) > state.now;

/** Whether it was one of the allowed ones; counted whatever the code is. */
function spendTry(state: ModelState, code: string): boolean {
  if (state.kinds[code] === 'link') return true;
  state.triesSpent += 1;
  const row = (state.tries[code] ??= { count: 0, lastAt: 0 });
  row.count += 1;
  row.lastAt = state.now;
  return row.count <= TRIES;
}

/** The try is spent at one moment, and the code looked up at a later one. */
function hello({ handshake, persona, code }: Extract<Operation, { kind: 'hello' }>): Step[] {
  return [
    (state, memory) => {
      memory.mayTry = spendTry(state, code);
      return undefined;
    },
    (state, { mayTry }) => {
      if (mayTry !== true || !isLive(state, code)) return 'CONFIRMATION_FAILED';
      state.handshakes[handshake] = { persona, code };
      return 'believed';
    },
  ];
}

/** Takes one use of the code, the last of which ends it; what was approved beforehand is decided in the same moment. */
function proof(state: ModelState, handshake: string, faulty: boolean): string {
  const open = state.handshakes[handshake];
  if (open === undefined) throw new Error('there is no such handshake');
  remove(state.handshakes, handshake);
  if (faulty) return 'IDENTITY_SIGNATURE';
  const code = state.codes[open.code];
  if (code === undefined || !isLive(state, open.code)) return 'PAIRING_REFUSED';
  code.usesLeft -= 1;
  if (code.usesLeft === 0) remove(state.codes, open.code);
  const expiresAt = state.now + REQUEST_LIFE_MS;
  const { persona } = open;
  const request: ModelRequest = { state: 'pending_approval', persona, expiresAt, decidedAt: null };
  state.requests[handshake] = request;
  audited(state, 'pairing.requested', handshake);
  if (code.preApproved && conflictOf(state, personaOf(open)) === undefined) grant(state, handshake, request);
  return 'done';
}

function approve(state: ModelState, name: string, replace: boolean): string {
  const request = state.requests[name];
  if (request === undefined) return 'REQUEST_NOT_FOUND';
  if (request.state === 'approved' || request.state === 'completed') return 'done';
  const undecidable = whyUndecidable(state, request);
  if (undecidable !== undefined) return undecidable;
  const conflict = conflictOf(state, personaOf(request));
  if (conflict !== undefined && !(conflict === 'IDENTITY_CHANGED' && replace)) return conflict;
  grant(state, name, request);
  return 'done';
}

function grant(state: ModelState, name: string, request: ModelRequest): void {
  const persona = personaOf(request);
  const overtaken = endUncollected(state, persona.id);
  const before = state.identities[persona.id];
  const known = before?.key === persona.key ? [before.current, before.previous] : [];
  const previous = known.find((other) => other !== null && !overtaken.includes(other)) ?? null;
  const expiresAt = state.now + CERTIFICATE_LIFE_MS;
  state.certificates[name] = { id: persona.id, key: persona.certificateKey, expiresAt };
  state.identities[persona.id] = { key: persona.key, current: name, previous };
  Object.assign(request, { state: 'approved', expiresAt, decidedAt: state.now });
  audited(state, 'pairing.approved', name);
}

/** What an earlier approval left to collect is withdrawn by the next one; returns the names of those requests. */
function endUncollected(state: ModelState, id: string): string[] {
  const ended = Object.entries(state.requests).filter(
    ([, request]) => request.state === 'approved' && personaOf(request).id === id,
  );
  for (const [name, request] of ended) {
    request.state = 'expired';
    audited(state, 'pairing.expired', name);
  }
  return ended.map(([name]) => name);
}

function whyUndecidable(state: ModelState, request: ModelRequest): string | undefined {
  const isOver = request.state === 'pending_approval' && request.expiresAt <= state.now;
  if (request.state === 'expired' || isOver) return 'REQUEST_EXPIRED';
  return request.state === 'pending_approval' ? undefined : 'ALREADY_DECIDED';
}

function conflictOf(state: ModelState, { id, key, certificateKey }: Persona): string | undefined {
  if (state.revoked[id] !== undefined || Object.values(state.revoked).includes(key)) return 'DEVICE_REVOKED';
  const others = Object.entries(state.identities).filter(([other]) => other !== id);
  if (others.some(([, identity]) => identity.key === key)) return 'IDENTITY_KEY_IN_USE';
  const certifies = (name: string | null): boolean =>
    name !== null && state.certificates[name]?.key === certificateKey;
  if (others.some(([, { current, previous }]) => certifies(current) || certifies(previous))) {
    return 'KEY_IN_USE';
  }
  const known = state.identities[id];
  return known !== undefined && known.key !== key ? 'IDENTITY_CHANGED' : undefined;
}

function reject(state: ModelState, name: string): string {
  const request = state.requests[name];
  if (request === undefined) return 'REQUEST_NOT_FOUND';
  if (request.state === 'rejected') return 'done';
  const undecidable = whyUndecidable(state, request);
  if (undecidable !== undefined) return undecidable;
  Object.assign(request, { state: 'rejected', decidedAt: state.now });
  audited(state, 'pairing.rejected', name);
  return 'done';
}

/** What is over is expired, and what is handed out now completed; what is said is read after that. */
function collect(name: string): Step[] {
  return [
    (state) => {
      const request = state.requests[name];
      if (request === undefined) return 'NOTHING_TO_COLLECT';
      if (isOpen(request) && request.expiresAt <= state.now) {
        expire(state, name, request);
        return 'expired';
      }
      if (request.state !== 'approved') return request.state === 'completed' ? undefined : request.state;
      if (!isUsable(state, name)) return 'NOTHING_TO_COLLECT';
      request.state = 'completed';
      audited(state, 'pairing.collected', name);
      return undefined;
    },
    (state) => (isUsable(state, name) ? 'completed' : 'NOTHING_TO_COLLECT'),
  ];
}

const isOpen = (request: ModelRequest): boolean =>
  request.state === 'pending_approval' || request.state === 'approved';

function isUsable(state: ModelState, name: string): boolean {
  const request = state.requests[name];
  if (request === undefined) return false;
  const identity = state.identities[personaOf(request).id];
  if (identity?.current !== name) return false;
  return (state.certificates[name]?.expiresAt ?? 0) > state.now;
}

/** A certificate that nobody collected is withdrawn, and the identity with it that rests on nothing else. */
function expire(state: ModelState, name: string, request: ModelRequest): void {
  const { id } = personaOf(request);
  const identity = state.identities[id];
  if (request.state === 'approved' && identity !== undefined) {
    const left = [identity.current, identity.previous].filter((other) => other !== null && other !== name);
    const [current, previous] = left;
    if (current === undefined || current === null) remove(state.identities, id);
    else state.identities[id] = { ...identity, current, previous: previous ?? null };
  }
  request.state = 'expired';
  audited(state, 'pairing.expired', name);
}

function revoke(state: ModelState, id: string): string {
  const identity = state.identities[id];
  if (identity === undefined) return state.revoked[id] === undefined ? 'DEVICE_NOT_FOUND' : 'done';
  remove(state.identities, id);
  state.revoked[id] = identity.key;
  audited(state, 'device.revoked', id);
  return 'done';
}

function clear(state: ModelState, id: string): string {
  if (state.revoked[id] === undefined)
    return state.identities[id] === undefined ? 'DEVICE_NOT_FOUND' : 'done';
  remove(state.revoked, id);
  audited(state, 'device.cleared', id);
  return 'done';
}

function housekeeping(state: ModelState): string {
  for (const [code, { expiresAt }] of Object.entries(state.codes)) {
    const tries = state.tries[code];
    const isSpent = tries !== undefined && tries.count >= TRIES && tries.lastAt <= state.now - SPENT_GRACE_MS;
    if (expiresAt > state.now && !isSpent) continue;
    remove(state.codes, code);
    audited(state, expiresAt <= state.now ? 'pairing.code_expired' : 'pairing.code_spent', code);
  }
  for (const [name, request] of Object.entries(state.requests)) {
    if (isOpen(request) && request.expiresAt <= state.now) expire(state, name, request);
    const endedAt = request.decidedAt ?? request.expiresAt;
    if (!isOpen(request) && endedAt <= state.now - DECIDED_ROW_MS) remove(state.requests, name);
  }
  for (const [code, { lastAt }] of Object.entries(state.tries)) {
    if (lastAt <= state.now - TRY_ROW_MS) remove(state.tries, code);
  }
  return 'done';
}

/** What lives in memory is gone; the service does its housekeeping at start. */
function restart(state: ModelState): string {
  for (const handshake of Object.keys(state.handshakes)) remove(state.handshakes, handshake);
  return housekeeping(state);
}

export const personaOf = (request: { readonly persona: number }): Persona => {
  const persona = PERSONAS[request.persona];
  if (persona === undefined) throw new Error('there is no such persona');
  return persona;
};

function audited(state: ModelState, action: string, subject: string): void {
  const entry = `${action} ${subject}`;
  state.audit[entry] = (state.audit[entry] ?? 0) + 1;
}

function remove(from: Record<string, unknown>, name: string): void {
  Reflect.deleteProperty(from, name);
}

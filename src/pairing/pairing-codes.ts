import type { AuditEvent } from '../audit/audit-entry.js';
import type { CommittedReader, Unit, UnitOfWork } from '../database/unit-of-work.js';
import { DomainError, malformed, notFound, wrongState } from '../errors/domain-error.js';
import { type OperatorCaller, actorOf } from '../operators/caller.js';
import type { RandomBytes } from '../random/random-bytes.js';
import { type Verifier, makeVerifier } from '../spake2plus/verifier.js';
import type { Clock } from '../time/clock.js';
import { type CodePolicy, checkedPolicy } from './code-policy.js';
import { endCode } from './housekeeping.js';
import { type CodeRecord, codeRecordName, decodeCodeRecord, encodeCodeRecord } from './pairing-record.js';
import { PairingCodeRow, PairingTryRow } from './pairing.entity.js';
import {
  type CodeKind,
  type LinkCode,
  type PinCode,
  formatPinCode,
  newCodeId,
  newPin,
} from './protocol/code.js';
import { isEndpoint } from './protocol/endpoint.js';
import { LINK_SECRET_BYTES, formatLink } from './protocol/link.js';
import { derivePassword } from './protocol/password.js';
import { TRIES_PER_PIN, triesLeft } from './tries.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** How long a code of each kind may live, milliseconds (DESIGN §5). */
export const CODE_LIFE = {
  pin: { least: MINUTE_MS, usual: 10 * MINUTE_MS, most: 60 * MINUTE_MS },
  link: { least: MINUTE_MS, usual: 24 * 60 * MINUTE_MS, most: 24 * 60 * MINUTE_MS },
} as const;

/** Ids to draw before giving up; with a million ids and few codes the first one is free. */
const ID_ATTEMPTS = 8;

export interface MintRequest {
  readonly kind: 'pin' | 'link';
  /** Milliseconds; the usual life of the kind when absent. */
  readonly ttlMs?: number;
  /** `host:port` for a link; the first advertised one when absent. */
  readonly linkEndpoint?: string;
  /** One device that a person approves, unless said otherwise. */
  readonly policy?: Partial<CodePolicy>;
}

/** A live code as its minter sees it later: without its secret. */
export interface LivePairingCode {
  readonly codeId: string;
  readonly kind: 'pin' | 'link';
  readonly createdBy: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly policy: CodePolicy;
  readonly usesLeft: number;
  /** PIN codes only. */
  readonly triesLeft: number | undefined;
}

export interface MintedCode {
  readonly code: LivePairingCode;
  /** The whole code or link; shown this once. */
  readonly secretText: string;
}

export interface CodePage {
  readonly codes: readonly LivePairingCode[];
  /** Id of the last code of this page when there are more. */
  readonly next: string | undefined;
}

export interface PairingCodesParts {
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** SHA-256 of the signing root's SPKI, for links. */
  readonly caKeyHash: () => Buffer;
  /** `host:port` that devices are told first, for links. */
  readonly defaultEndpoint: () => string;
  /** From a code to its password; only tests that make codes by the thousand name another than the real one. */
  readonly passwordOf?: typeof derivePassword;
  /** Whoever minted a code may not approve what comes with it; then no code can be approved beforehand either. */
  readonly separateApprover?: boolean;
}

/** Mints, lists and withdraws pairing codes. */
export class PairingCodes {
  constructor(private readonly parts: PairingCodesParts) {}

  /**
   * Throws `malformed` with TTL_OUT_OF_RANGE, INVALID_ENDPOINT or what is wrong with the policy, and `wrong_state` with
   * PRE_APPROVAL_OFF.
   */
  async mint(caller: OperatorCaller, request: MintRequest): Promise<MintedCode> {
    const life = lifeOf(request);
    const policy = checkedPolicy(request.kind, request.policy);
    if (policy.preApproved && this.parts.separateApprover === true) throw preApprovalOff();
    const endpoint = request.linkEndpoint ?? this.parts.defaultEndpoint();
    if (!isEndpoint(endpoint)) throw malformed('INVALID_ENDPOINT', 'the endpoint of a link is host:port');
    for (let attempt = 0; attempt < ID_ATTEMPTS; attempt++) {
      const drawn = this.draw(request.kind, endpoint);
      const verifier = await verifierOf(drawn, this.parts.passwordOf ?? derivePassword);
      const createdAt = this.parts.clock.now();
      const facts = {
        kind: drawn.kind,
        createdBy: actorOf(caller),
        createdAt,
        expiresAt: createdAt + life,
        policy,
        usesLeft: policy.uses,
      };
      const stored = await this.parts.unitOfWork.run((unit) =>
        storeCode(unit, caller, drawn.codeId, { ...facts, verifier }),
      );
      if (!stored) continue;
      const triesLeft = drawn.kind === 'pin' ? TRIES_PER_PIN : undefined;
      return { code: { codeId: drawn.codeId, ...facts, triesLeft }, secretText: formatCode(drawn) };
    }
    throw new DomainError(
      'exhausted',
      'NO_FREE_CODE_ID',
      'no free code id was found; withdraw old codes and try again',
    );
  }

  /** Live codes by id, after `after` (exclusive). */
  async list(options: { after?: string; limit: number }): Promise<CodePage> {
    const query = this.parts.committed.tables
      .createQueryBuilder(PairingCodeRow, 'code')
      .where('code.expiresAt > :now', { now: this.parts.clock.now() })
      .orderBy('code.codeId', 'ASC')
      .limit(options.limit + 1);
    if (options.after !== undefined) query.andWhere('code.codeId > :after', { after: options.after });
    const rows = await query.getMany();
    const page = rows.slice(0, options.limit);
    return {
      codes: (await Promise.all(page.map((row) => this.live(row)))).filter((code) => code !== undefined),
      next: rows.length > options.limit ? page.at(-1)?.codeId : undefined,
    };
  }

  /** Ends a live code. Throws `not_found` when there is none. */
  async withdraw(caller: OperatorCaller, codeId: string, reason: string): Promise<void> {
    await this.parts.unitOfWork.run(async (unit) => {
      const row = await unit.tables.findOneBy(PairingCodeRow, { codeId });
      if (row === null || row.expiresAt <= this.parts.clock.now()) {
        throw notFound('CODE_NOT_FOUND', 'there is no such live code; `palyra pairing codes` shows all');
      }
      await endCode(unit, codeId);
      auditCode(unit, caller, 'pairing.code_withdrawn', codeId, { reason });
    });
  }

  private draw(kind: CodeKind, endpoint: string): PinCode | LinkCode {
    const { random } = this.parts;
    const codeId = newCodeId(kind, random);
    return kind === 'pin'
      ? { kind, codeId, pin: newPin(random) }
      : { kind, codeId, secret: random(LINK_SECRET_BYTES), endpoint, ca: this.parts.caKeyHash() };
  }

  /** As the sealed record says it, since that is what the code is used by; `undefined` when it ended meanwhile. */
  private async live({ codeId }: PairingCodeRow): Promise<LivePairingCode | undefined> {
    const { secrets, tables } = this.parts.committed;
    const sealed = await secrets.read(codeRecordName(codeId));
    if (sealed === undefined) return undefined;
    const { verifier: _verifier, ...facts } = decodeCodeRecord(codeId, sealed);
    const left = facts.kind === 'pin' ? await triesLeft(tables, codeId) : undefined;
    return { codeId, ...facts, triesLeft: left };
  }
}

function preApprovalOff(): DomainError {
  return wrongState(
    'PRE_APPROVAL_OFF',
    'here a second operator approves each device (PALYRA_PAIRING_SEPARATE_APPROVER), so that no code can be approved beforehand',
  );
}

const CODE_NAME = { pin: 'PIN code', link: 'link code' } as const;

/** `1 minute`, `24 hours`: in hours where these are whole. */
function lifeText(milliseconds: number): string {
  const [unit, unitMs] = milliseconds % HOUR_MS === 0 ? ['hour', HOUR_MS] : ['minute', MINUTE_MS];
  const count = milliseconds / unitMs;
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

function lifeOf(request: MintRequest): number {
  const { least, usual, most } = CODE_LIFE[request.kind];
  const life = request.ttlMs ?? usual;
  if (life >= least && life <= most) return life;
  throw malformed(
    'TTL_OUT_OF_RANGE',
    `a ${CODE_NAME[request.kind]} lives from ${lifeText(least)} to ${lifeText(most)}`,
  );
}

/** The password goes no further than this: only the verifier is kept. */
async function verifierOf(code: PinCode | LinkCode, passwordOf: typeof derivePassword): Promise<Verifier> {
  const { w0, w1 } = await passwordOf(code);
  const verifier = makeVerifier(w0, w1);
  w1.fill(0);
  return verifier;
}

/** Whether the id was free: no code has it, and no tries are counted for it that the new code would inherit. */
async function storeCode(
  unit: Unit,
  caller: OperatorCaller,
  codeId: string,
  record: CodeRecord,
): Promise<boolean> {
  if (await unit.tables.existsBy(PairingCodeRow, { codeId })) return false;
  if (await unit.tables.existsBy(PairingTryRow, { codeId })) return false;
  const { kind, createdBy, createdAt, expiresAt } = record;
  await unit.secrets.write(codeRecordName(codeId), encodeCodeRecord(record));
  await unit.tables.insert(PairingCodeRow, { codeId, kind, createdBy, createdAt, expiresAt });
  auditCode(unit, caller, 'pairing.code_created', codeId, {
    details: { kind, ttl_s: (expiresAt - createdAt) / 1000, ...policyDetails(record.policy) },
  });
  return true;
}

/** Only what is not ordinary. */
function policyDetails(policy: CodePolicy): Record<string, unknown> {
  return {
    ...(policy.uses === 1 ? {} : { uses: policy.uses }),
    ...(policy.preApproved ? { pre_approved: true } : {}),
    ...(policy.clientKinds.length === 0 ? {} : { client_kinds: policy.clientKinds }),
    ...(policy.deviceIdPattern === '' ? {} : { device_id_pattern: policy.deviceIdPattern }),
  };
}

function formatCode(code: PinCode | LinkCode): string {
  return code.kind === 'pin' ? formatPinCode(code) : formatLink(code);
}

function auditCode(
  unit: Unit,
  caller: OperatorCaller,
  action: string,
  codeId: string,
  more: Pick<AuditEvent, 'reason' | 'details'>,
): void {
  unit.audit.append({
    actor: actorOf(caller),
    source: caller.source,
    action,
    subject: `code/${codeId}`,
    ...more,
  });
}

import type { Unit } from '../database/unit-of-work.js';
import { DomainError } from '../errors/domain-error.js';
import type { RandomBytes } from '../random/random-bytes.js';
import type { SecretReader } from '../secret-store/secret-store.js';
import type { Clock } from '../time/clock.js';
import type { OperatorAuthenticator, OperatorCaller, OperatorRole } from './caller.js';
import {
  OPERATOR_RECORD_PREFIX,
  decodeOperatorRecord,
  encodeOperatorRecord,
  operatorRecordName,
} from './operator-record.js';
import {
  type OperatorToken,
  formatOperatorToken,
  hashTokenSecret,
  newOperatorToken,
  parseOperatorToken,
  verifyTokenSecret,
} from './token.js';

/** What a token that names nobody is compared with, so that it costs what a wrong one costs. */
const NOBODYS_SECRET_HASH = Buffer.alloc(32);

/** Verifies operators' tokens against their sealed records. */
export class OperatorRegister implements OperatorAuthenticator {
  /** `secrets` must see committed records only. */
  constructor(private readonly secrets: SecretReader) {}

  async authenticate(text: string): Promise<Omit<OperatorCaller, 'kind' | 'source'> | undefined> {
    const token = readToken(text);
    if (token === undefined) return undefined;
    const sealed = await this.secrets.read(operatorRecordName(token.tokenId));
    const record = sealed === undefined ? undefined : decodeOperatorRecord(token.tokenId, sealed);
    const right = verifyTokenSecret(token.secret, record?.secretHash ?? NOBODYS_SECRET_HASH);
    token.secret.fill(0);
    return right && record !== undefined ? { operatorId: token.tokenId, role: record.role } : undefined;
  }
}

function readToken(text: string): OperatorToken | undefined {
  try {
    return parseOperatorToken(text);
  } catch (error) {
    if (error instanceof DomainError) return undefined;
    throw error;
  }
}

/** Whether the store knows any operator yet. */
export async function hasOperators(secrets: SecretReader): Promise<boolean> {
  const [first] = await secrets.list(OPERATOR_RECORD_PREFIX, { limit: 1 });
  return first !== undefined;
}

/** Ends every operator's token, in the unit of work of the decision; returns how many. */
export async function endAllOperators(unit: Unit): Promise<number> {
  const names = await unit.secrets.list(OPERATOR_RECORD_PREFIX);
  for (const name of names) await unit.secrets.delete(name);
  return names.length;
}

/** A new token, and what the store keeps of it. The text is shown or written once, and goes nowhere else. */
export interface NewOperator {
  readonly operatorId: string;
  readonly tokenText: string;
  /** Writes the sealed record and its audit entry in the unit that makes the operator. */
  record(unit: Unit): Promise<void>;
}

export function newOperator(
  role: OperatorRole,
  parts: { readonly caKeyHash: Buffer; readonly random: RandomBytes; readonly clock: Clock },
): NewOperator {
  const token = newOperatorToken(parts.caKeyHash, parts.random);
  const secretHash = hashTokenSecret(token.secret);
  const tokenText = formatOperatorToken(token);
  token.secret.fill(0);
  return {
    operatorId: token.tokenId,
    tokenText,
    record: async (unit) => {
      const name = operatorRecordName(token.tokenId);
      await unit.secrets.write(
        name,
        encodeOperatorRecord({ role, secretHash, createdAt: parts.clock.now() }),
      );
      unit.audit.append({
        actor: 'system',
        source: 'local',
        action: 'operator.created',
        subject: name,
        details: { role },
      });
    },
  };
}

import { z } from 'zod';
import { decodeJsonRecord, encodeJsonRecord } from '../secret-store/json-record.js';
import type { SecretReader } from '../secret-store/secret-store.js';
import { OPERATOR_ROLES, type OperatorRole, roleAllows } from './caller.js';

export const OPERATOR_RECORD_PREFIX = 'operator/';
export const operatorRecordName = (operatorId: string): string => `${OPERATOR_RECORD_PREFIX}${operatorId}`;

/** Who may call ControlPlane, sealed as `operator/<id>`. */
export interface OperatorRecord {
  readonly role: OperatorRole;
  /** SHA-256 of the token's secret, 32 bytes. */
  readonly secretHash: Buffer;
  readonly createdAt: number;
}

const schema = z.strictObject({
  v: z.literal(1),
  role: z.enum(OPERATOR_ROLES),
  secretHash: z.base64().transform((text) => Buffer.from(text, 'base64')),
  createdAt: z.int().nonnegative(),
});

export function encodeOperatorRecord(record: OperatorRecord): Buffer {
  return encodeJsonRecord({ ...record, secretHash: record.secretHash.toString('base64') });
}

export function decodeOperatorRecord(operatorId: string, sealed: Buffer): OperatorRecord {
  const { v: _version, ...record } = decodeJsonRecord(operatorRecordName(operatorId), schema, sealed);
  return record;
}

/** Whether an operator is still there and its role, as it is now, includes `role`. */
export async function operatorMay(
  secrets: SecretReader,
  operatorId: string,
  role: OperatorRole,
): Promise<boolean> {
  const sealed = await secrets.read(operatorRecordName(operatorId));
  return sealed !== undefined && roleAllows(decodeOperatorRecord(operatorId, sealed).role, role);
}

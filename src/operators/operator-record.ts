import { z } from 'zod';
import { decodeJsonRecord, encodeJsonRecord } from '../secret-store/json-record.js';
import { OPERATOR_ROLES, type OperatorRole } from './caller.js';

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

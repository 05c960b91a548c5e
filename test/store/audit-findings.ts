import { createPublicKey } from 'node:crypto';
import { parseExport } from '../../src/audit/audit-export.js';
import type { AuditFinding } from '../../src/audit/audit-verification.js';
import { verifyExport } from '../../src/audit/audit-verification.js';
import type { Store } from '../../src/database/open-store.js';

/** Exports the store's audit log, reads it back and verifies it. */
export async function auditFindings(store: Store): Promise<AuditFinding[]> {
  const lines: string[] = [];
  for await (const line of store.auditLog.export()) lines.push(line);
  const { entries, head } = parseExport(lines.join('\n'));
  const auditKey = createPublicKey({ key: await store.auditLog.publicKey(), format: 'der', type: 'spki' });
  return verifyExport(entries, head, { auditKey, storeId: store.storeId, since: null });
}

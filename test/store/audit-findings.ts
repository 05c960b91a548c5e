import { createPublicKey } from 'node:crypto';
import type { AuditEntry } from '../../src/audit/audit-entry.js';
import type { SignedAuditHead } from '../../src/audit/audit-head.js';
import type { AuditFinding } from '../../src/audit/audit-verification.js';
import { verifyExport } from '../../src/audit/audit-verification.js';
import type { Store } from '../../src/database/open-store.js';

/** Exports the store's audit log and verifies it. */
export async function auditFindings(store: Store): Promise<AuditFinding[]> {
  const entries: AuditEntry[] = [];
  const heads: SignedAuditHead[] = [];
  for await (const item of store.auditLog.export()) {
    if ('entry' in item) entries.push(item.entry);
    else heads.push(item.head);
  }
  const auditKey = createPublicKey({ key: await store.auditLog.publicKey(), format: 'der', type: 'spki' });
  return verifyExport(entries, heads[0]!, { auditKey, storeId: store.storeId, since: null });
}

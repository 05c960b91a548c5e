/** What admins do to the store, on the wire. */
import type { VerifyStoreResponse } from '../generated/palyra/controlplane/v1/store.js';
import type { VerificationItem } from '../secret-store/record-verification.js';

export function verificationItemToProto(item: VerificationItem): VerifyStoreResponse {
  switch (item.kind) {
    case 'finding':
      return { item: { $case: 'finding', value: item.finding } };
    case 'progress':
      return { item: { $case: 'progress', value: progressToProto(item.done, item.total) } };
    case 'verified': {
      const value = { records: BigInt(item.records), failed: BigInt(item.failed) };
      return { item: { $case: 'verification', value } };
    }
  }
}

function progressToProto(done: number, total: number): { recordsDone: bigint; recordsTotal: bigint } {
  return { recordsDone: BigInt(done), recordsTotal: BigInt(total) };
}

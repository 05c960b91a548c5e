/** What admins do to the store, on the wire. */
import type { KeyChangeBy, KeyInForce } from '../database/store-keyring.js';
import {
  type RekeyStoreDataResponse,
  type RekeyStoreResponse,
  StoreKeyKind,
  type StoreProgress,
  type VerifyStoreResponse,
} from '../generated/palyra/controlplane/v1/store.js';
import { actorOf, type OperatorCaller } from '../operators/caller.js';
import type { RecordFinding, VerificationItem } from '../secret-store/record-verification.js';
import type { DataKeyProgress, DataKeyResult } from './data-key-change.js';

const KIND: Readonly<Record<KeyInForce['kind'], StoreKeyKind>> = {
  key: StoreKeyKind.STORE_KEY_KIND_KEY,
  passphrase: StoreKeyKind.STORE_KEY_KIND_PASSPHRASE,
};

export function keyChangeBy(caller: OperatorCaller, reason: string): KeyChangeBy {
  return { actor: actorOf(caller), source: caller.source, reason };
}

export function keyInForceToProto({ path, kind, role, isBeside }: KeyInForce): RekeyStoreResponse {
  return { file: path, kind: KIND[kind], isNewSetting: role === 'next', isBeside };
}

export function dataKeyProgressToProto({ done, total }: DataKeyProgress): RekeyStoreDataResponse {
  return { item: { $case: 'progress', value: progressToProto(done, total) } };
}

export function dataKeyFindingToProto(finding: RecordFinding): RekeyStoreDataResponse {
  return { item: { $case: 'finding', value: finding } };
}

export function dataKeyResultToProto({
  resealed,
  findings,
  finished,
}: DataKeyResult): RekeyStoreDataResponse {
  const value = { records: BigInt(resealed), failed: BigInt(findings.length), finished };
  return { item: { $case: 'rekey', value } };
}

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

function progressToProto(done: number, total: number): StoreProgress {
  return { recordsDone: BigInt(done), recordsTotal: BigInt(total) };
}

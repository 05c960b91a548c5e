import { entryHash } from '../../../src/audit/audit-chain.js';
import type { AuditEntry } from '../../../src/audit/audit-entry.js';
import { CertificateRow } from '../../../src/ca/certificate.entity.js';
import type { Store } from '../../../src/database/open-store.js';
import { DeviceRow } from '../../../src/identity/device.entity.js';
import { readIdentity } from '../../../src/identity/enrolment.js';
import { identityFingerprint } from '../../../src/identity/fingerprint.js';
import { codeRecordName, decodeCodeRecord } from '../../../src/pairing/pairing-record.js';
import { PairingCodeRow, PairingRequestRow, PairingTryRow } from '../../../src/pairing/pairing.entity.js';
import type { Cast } from './cast.js';
import { type ModelState, PERSONAS } from './pairing-model.js';

/** What model and store must agree on: by the names of the test, and without what lives in memory. */
export type Facts = Pick<
  ModelState,
  'codes' | 'tries' | 'requests' | 'identities' | 'revoked' | 'audit' | 'triesSpent'
> & {
  /** Sealed records beside those that any store has. */
  readonly records: readonly string[];
  /** How many there are. */
  readonly certificates: number;
};

/** The facts as the model has them. */
export function factsOf(model: ModelState): Facts {
  const { codes, tries, requests, identities, revoked, audit, triesSpent } = model;
  const pending = Object.entries(requests).filter(([, { state }]) => state === 'pending_approval');
  const records = [
    ...Object.keys(codes).map((code) => `code/${code}`),
    ...Object.keys(identities).map((id) => `device/${id}`),
    ...pending.map(([request]) => `request/${request}`),
    ...Object.entries(revoked).flatMap(([id, key]) => [`tombstone/device/${id}`, `tombstone/key/${key}`]),
  ];
  const certificates = Object.keys(model.certificates).length;
  return {
    codes,
    tries,
    requests,
    identities,
    revoked,
    audit,
    triesSpent,
    records: records.sort(),
    certificates,
  };
}

interface Before {
  readonly records: readonly string[];
  readonly certificates: number;
}

/** Reads the same facts from the store, index and sealed records alike. */
export class StoredFacts {
  readonly #audit: Record<string, number> = {};
  #auditedTries = 0;

  private constructor(
    private readonly before: Before,
    private chainEnd: Pick<AuditEntry, 'sequence' | 'hash'>,
  ) {}

  static async before({ committed, auditLog }: Store): Promise<StoredFacts> {
    const records = await committed.secrets.list('');
    const certificates = await committed.tables.count(CertificateRow);
    return new StoredFacts({ records, certificates }, await auditLog.head());
  }

  async read(store: Store, cast: Cast): Promise<Facts> {
    await this.#followChain(store, cast);
    const { tables } = store.committed;
    const tries = await tables.find(PairingTryRow);
    const untold = tries.reduce((sum, row) => sum + row.tries - row.audited, 0);
    const devices = await tables.find(DeviceRow);
    return {
      codes: await codes(store, cast),
      tries: cast.named(
        tries,
        (row) => row.codeId,
        ({ tries: count, lastAt }) => ({ count, lastAt }),
      ),
      requests: await requests(store, cast),
      identities: await identities(store, cast, devices),
      revoked: revoked(cast, devices),
      audit: { ...this.#audit },
      triesSpent: this.#auditedTries + untold,
      records: (await this.#records(store)).map((name) => renamed(name, cast)).sort(),
      certificates: (await tables.count(CertificateRow)) - this.before.certificates,
    };
  }

  async requireNothingLeft(store: Store): Promise<void> {
    const records = await this.#records(store);
    if (records.length > 0) throw new Error(`left in the store: ${records.join()}`);
    for (const entity of [PairingCodeRow, PairingTryRow, PairingRequestRow, DeviceRow]) {
      const rows = await store.committed.tables.count(entity);
      if (rows > 0) throw new Error(`${String(rows)} rows are left of ${entity.name}`);
    }
  }

  async #records({ committed }: Store): Promise<string[]> {
    const names = await committed.secrets.list('');
    const missing = this.before.records.filter((name) => !names.includes(name));
    if (missing.length > 0) throw new Error(`gone from the store: ${missing.join()}`);
    return names.filter((name) => !this.before.records.includes(name));
  }

  /** Follows the audit chain from where it was left, and counts its entries. */
  async #followChain({ auditLog }: Store, cast: Cast): Promise<void> {
    for (;;) {
      const page = await auditLog.entries({ after: this.chainEnd.sequence, limit: 500 });
      if (page.length === 0) return;
      for (const entry of page) {
        this.#requireLink(entry);
        this.chainEnd = entry;
        this.#count(entry, cast);
      }
    }
  }

  #requireLink(entry: AuditEntry): void {
    const { sequence, hash } = this.chainEnd;
    const follows = entry.sequence === sequence + 1 && entry.previous.equals(hash);
    if (follows && entryHash(entry).equals(entry.hash)) return;
    throw new Error(`the audit chain breaks at entry ${String(entry.sequence)}`);
  }

  #count({ action, subject, details }: AuditEntry, cast: Cast): void {
    const told = JSON.parse(details) as {
      request_id?: string;
      codes?: Record<string, number>;
      other?: number;
    };
    if (action === 'pairing.tried') {
      const { codes = {}, other = 0 } = told;
      this.#auditedTries += Object.values(codes).reduce((sum, count) => sum + count, other);
      return;
    }
    const entry = `${action} ${cast.nameOf(told.request_id ?? subject.slice(subject.indexOf('/') + 1))}`;
    this.#audit[entry] = (this.#audit[entry] ?? 0) + 1;
  }
}

/** By the sealed records; what the rows say of them must be the same. */
async function codes({ committed }: Store, cast: Cast): Promise<Facts['codes']> {
  const found: Facts['codes'] = {};
  for (const row of await committed.tables.find(PairingCodeRow)) {
    const name = cast.nameOf(row.codeId);
    const sealed = await committed.secrets.read(codeRecordName(row.codeId));
    if (sealed === undefined) throw new Error(`${name} has no record`);
    const { kind, expiresAt, usesLeft, policy } = decodeCodeRecord(row.codeId, sealed);
    if (kind !== row.kind || expiresAt !== row.expiresAt) throw new Error(`row and record of ${name} differ`);
    found[name] = { kind, expiresAt, usesLeft, preApproved: policy.preApproved };
  }
  return found;
}

/** A certificate named in a row must be the one that the approval answered with: others have no name. */
async function requests({ committed }: Store, cast: Cast): Promise<Facts['requests']> {
  const rows = await committed.tables.find(PairingRequestRow);
  for (const { requestId, certificateFingerprint } of rows) {
    if (certificateFingerprint !== null && cast.nameOf(certificateFingerprint) !== cast.nameOf(requestId)) {
      throw new Error(`request ${cast.nameOf(requestId)} names a foreign certificate`);
    }
  }
  const personaIn = (row: PairingRequestRow): number => {
    const [id, key] = [cast.nameOf(row.deviceId), cast.nameOf(row.identityFingerprint)];
    return PERSONAS.findIndex((persona) => persona.id === id && persona.key === key);
  };
  return cast.named(
    rows,
    (row) => row.requestId,
    (row) => ({
      state: row.state,
      persona: personaIn(row),
      expiresAt: row.expiresAt,
      decidedAt: row.decidedAt,
    }),
  );
}

/** Sealed identities, each with the row that indexes it; throws where the two differ. */
async function identities(
  { committed }: Store,
  cast: Cast,
  rows: readonly DeviceRow[],
): Promise<Facts['identities']> {
  const found: Facts['identities'] = {};
  const active = rows.filter(({ state }) => state === 'active');
  const records = await committed.secrets.list('device/');
  if (
    records.join() !==
    active
      .map(({ deviceId }) => `device/${deviceId}`)
      .sort()
      .join()
  ) {
    throw new Error('rows and records of devices differ');
  }
  for (const row of active) {
    const identity = (await readIdentity(committed.secrets, row.deviceId))!;
    const [current, previous] = [identity.current!.fingerprint, identity.previous?.fingerprint];
    const key = identityFingerprint(identity.identityKey);
    if (row.identityFingerprint !== key || row.certificateFingerprint !== current) {
      throw new Error(`row and record of device ${cast.nameOf(row.deviceId)} differ`);
    }
    found[cast.nameOf(row.deviceId)] = {
      key: cast.nameOf(key),
      current: cast.nameOf(current),
      previous: previous === undefined ? null : cast.nameOf(previous),
    };
  }
  return found;
}

function revoked(cast: Cast, rows: readonly DeviceRow[]): Facts['revoked'] {
  return cast.named(
    rows.filter(({ state }) => state === 'revoked'),
    (row) => row.deviceId,
    (row) => cast.nameOf(row.identityFingerprint),
  );
}

function renamed(record: string, cast: Cast): string {
  const cut = record.lastIndexOf('/') + 1;
  return record.slice(0, cut) + cast.nameOf(record.slice(cut));
}

import type { Store } from '../../src/database/open-store.js';
import { auditFindings } from '../store/audit-findings.js';
import type { TestDevice } from './paired-device.js';
import type { ServiceProcess } from './service-process.js';

type Row = Readonly<Record<string, unknown>>;

/**
 * What the files of a service hold about pairing, read behind its back: index rows, names of sealed records, audit
 * entries. Throws for the first thing that is partial, doubled or left over (DESIGN §9, 2–4 and 7).
 *
 * @param acknowledged Requests that an operator was told are approved, with the certificate's fingerprint.
 */
export function requireWholeDisk(
  service: ServiceProcess,
  acknowledged: ReadonlyMap<string, string> = new Map(),
): void {
  const tables = service.tables();
  const rowsOf = (table: string): Row[] => tables[table]!.map((text) => JSON.parse(text) as Row);
  const records = new Set(rowsOf('secret').map(({ name }) => String(name)));
  const certificates = rowsOf('certificate').filter(({ profile }) => profile === 'device');
  const entries = rowsOf('audit_entry');
  const requests = rowsOf('pairing_request');
  const approvals = (requestId: unknown): number =>
    entries.filter(({ action, details }) => {
      const about = JSON.parse(String(details)) as Row;
      return action === 'pairing.approved' && about['request_id'] === requestId;
    }).length;

  for (const row of requests) {
    const isApproved = row['state'] === 'approved' || row['state'] === 'completed';
    const fingerprint = row['certificate_fingerprint'];
    const facts = {
      approvals: approvals(row['request_id']),
      certificates: certificates.filter((certificate) => certificate['fingerprint'] === fingerprint).length,
      identity: records.has(`device/${String(row['device_id'])}`),
      proved: records.has(`request/${String(row['request_id'])}`),
    };
    const whole = isApproved
      ? { approvals: 1, certificates: 1, identity: true, proved: false }
      : { approvals: 0, certificates: 0, identity: false, proved: true };
    requireSame(`request in state ${String(row['state'])}`, facts, whole);
  }
  requireSame(
    'certificates',
    certificates.length,
    requests.filter((row) => row['certificate_fingerprint']).length,
  );
  requireSame(
    'codes',
    namesUnder(records, 'code/'),
    rowsOf('pairing_code')
      .map((row) => String(row['code_id']))
      .sort(),
  );
  requireSame(
    'devices',
    namesUnder(records, 'device/'),
    rowsOf('device')
      .map((row) => String(row['device_id']))
      .sort(),
  );
  for (const [requestId, fingerprint] of acknowledged) {
    const row = requests.find((request) => request['request_id'] === requestId);
    requireSame('an acknowledged approval', row?.['certificate_fingerprint'], fingerprint);
  }
}

/** The same of a service that is down, and that its audit chain verifies. */
export async function requireWholeStore(
  service: ServiceProcess,
  acknowledged: ReadonlyMap<string, string>,
): Promise<void> {
  await service.withStore(async (store: Store) => {
    requireSame('findings in the audit log', await auditFindings(store), []);
    requireWholeDisk(service, acknowledged);
  });
}

/** How far a device's directory shows that it has come: each of these can be gone on from. */
const STAGES: readonly (readonly string[])[] = [
  [],
  ['pending.sealed'],
  ['identity.sealed', 'pending.sealed'],
  ['certificate.sealed', 'identity.sealed', 'pending.sealed'],
  ['certificate.sealed', 'identity.sealed'],
];

/** Whether the device has all it needs. Throws when its directory holds something that no step leaves behind. */
export async function isPaired(device: TestDevice, service: ServiceProcess): Promise<boolean> {
  const records = await device.records();
  const stage = STAGES.findIndex((names) => names.join() === records.join());
  if (stage === -1) throw new Error(`a device holds ${records.join()}`);
  // Reading them proves that they are whole.
  await device.pending();
  await device.identity();
  const certificate = await device.storedCertificate();
  if (certificate !== undefined) {
    const rows = service.tables()['pairing_request']!.map((text) => JSON.parse(text) as Row);
    const own = rows.find((row) => row['device_id'] === certificate.deviceId);
    requireSame('the state of a collected request', own?.['state'], 'completed');
    requireSame('a collected certificate', own?.['certificate_fingerprint'], certificate.fingerprint);
  }
  return stage === STAGES.length - 1;
}

function namesUnder(records: ReadonlySet<string>, prefix: string): string[] {
  return [...records]
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .sort();
}

function requireSame(what: string, found: unknown, expected: unknown): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)];
  if (one !== other) throw new Error(`${what}: found ${one}, expected ${other}`);
}

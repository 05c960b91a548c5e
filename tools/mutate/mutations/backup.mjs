import { inFile } from '../mutation.mjs';

const STORE = 'DESIGN §4';
const restore = 'test/store/restore.spec.ts';
const disk = 'test/store/failing-disk.spec.ts';

/** Backup, restore, quarantine, and disks that fail. */
export const backup = [
  ...inFile('src/store/restore-store.ts', { rule: STORE, test: restore }, [
    [
      'a restore goes over what is left of a store',
      'if (await databaseExists(place)) throw storeExists(dataDir);',
      '',
      { only: 'puts nothing over a store' },
    ],
    [
      'a database with a WAL beside it counts as a backup',
      'wal !== undefined && wal > 0',
      'false',
      { only: 'takes no database with a WAL' },
    ],
    [
      'the epoch of a restore may be below that of the audit export',
      'Math.max(now, backup.epoch + 1, laterEpoch + 1)',
      'Math.max(now, backup.epoch + 1)',
      { only: 'begins an epoch above' },
    ],
  ]),
  ...inFile('src/store/new-epoch.ts', { rule: STORE, test: restore, only: 'ends the operators' }, [
    ['the operators of a backup cannot be ended', 'endOperators ? await endAllOperators(unit) : 0', '0'],
  ]),
  ...inFile(
    'src/store/new-epoch.ts',
    { rule: STORE, test: restore, only: 'makes a whole store in quarantine' },
    [
      ['codes of the backup live on', 'for (const name of names) await unit.secrets.delete(name);', ''],
      [
        'a restored store is not in quarantine',
        'await unit.secrets.write(RESTORE_RECORD_NAME, encodeRestoreRecord(restore));',
        '',
      ],
    ],
  ),
  ...inFile(
    'src/grpc/caller.guard.ts',
    { rule: STORE, test: 'test/grpc/policy.spec.ts', only: 'work that is held' },
    [['held work passes the gRPC door', 'requireFree(this.holds, call.getPath());', '']],
  ),
  ...inFile('src/database/write-probe.ts', { rule: STORE, test: disk }, [
    [
      'damage that was met is forgotten',
      'if (damage !== undefined) throw damage;',
      '',
      { only: 'turns the store unwritable for good' },
    ],
    [
      'a full store counts as writable since a small write fits',
      'await this.write(RECOVERY_BYTES);',
      '',
      { only: 'because a small write still fits' },
    ],
  ]),
];

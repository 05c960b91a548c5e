import { inFile } from '../mutation.mjs';

const SEALED = 'PROTOCOL, Sealed records';
const STORE = 'DESIGN §4';
const UNIT = 'DESIGN §4 and §9.4';
const AUDIT = 'PROTOCOL, Audit';

const unitOfWork = 'test/store/unit-of-work.spec.ts';
const openStore = 'test/store/open-store.spec.ts';
const privateFile = 'src/secret-store/private-file.spec.ts';
const verification = 'src/audit/audit-verification.spec.ts';

const rekey = 'test/store/rekey.spec.ts';
const damaged = 'test/store/damaged-records.spec.ts';

/** Sealed records, master key, files, lock, units of work, audit log. */
export const store = [
  ...inFile('src/database/open-store.ts', { rule: STORE, test: openStore }, [
    [
      'a new store is made where the database was lost',
      'if (!exists) await requireNoStoreBefore(',
      'if (false) await requireNoStoreBefore(',
    ],
    [
      'a new store is made in an emptied database',
      'if (found === undefined) await requireNoStoreBefore(',
      'if (false) await requireNoStoreBefore(',
    ],
  ]),
  ...inFile('src/main.ts', { rule: STORE, test: 'test/service/service.spec.ts', only: 'database is gone' }, [
    ['nothing tells the start that there was a store', 'leftBehind: [TRUST_BUNDLE_FILE]', 'leftBehind: []'],
  ]),
  ...inFile('src/database/store-keyring.ts', { rule: STORE, test: rekey }, [
    [
      'a key that is cut off from its place is not put there',
      'if (await putInPlace(place)) return',
      'if (false) return',
    ],
    ['a key file is replaced that will not stay', 'await requireReplaceable(path,', 'void ('],
    ['the prepared key may be the one in force', 'if (isSameKey(target, inForce))', 'if (false)'],
    [
      'the new key is not written before the transaction',
      'await writeFileBeside(path, content);',
      "void writeFileBeside(path + 'x', content);",
    ],
  ]),
  ...inFile('src/secret-store/given-keys.ts', { rule: STORE, test: rekey }, [
    [
      'start does not try the file beside the key file',
      '    { source, role, path: path + TEMPORARY_SUFFIX, isBeside: true },\n',
      '',
    ],
    [
      'start does not try the key that the store is to change to',
      "...(next === undefined ? [] : withFileBeside(next, 'next', dataDir)),",
      '',
    ],
  ]),
  ...inFile(
    'src/secret-store/key-file-change.ts',
    { rule: STORE, test: 'src/secret-store/key-file-change.spec.ts' },
    [
      [
        'the only key is put into the layer of a container',
        'return IN_A_LAYER.has(type >>> 0) ? 1 : 2;',
        'return 2;',
      ],
    ],
  ),
  ...inFile('src/store/withdrawals.ts', { rule: STORE, test: 'src/store/withdrawals.spec.ts' }, [
    [
      'a revoked device is named as one to pair again',
      '    if (entry.action === REVOKED) this.#approved.delete(entry.subject);\n',
      '',
    ],
  ]),
  ...inFile('src/secret-store/passphrase.ts', { rule: STORE, test: rekey }, [
    ['a passphrase of few words becomes a key', 'words.size >= LEAST_WORDS &&', ''],
    ['six letters become a key', '&& letters >= LEAST_LETTERS', ''],
  ]),
  ...inFile('src/database/data-keys.ts', { rule: STORE, test: 'test/store/data-keys.spec.ts' }, [
    [
      'a data key goes while records are sealed under it',
      'if ((await new SqlSealedRecords(unit.tables).countNotUnder(current.id)) > 0) throw inUse();',
      '',
    ],
    [
      'a data key seals before it is committed',
      '      await this.unitOfWork.run(async (unit) => {\n        await requireUnchanged(unit, row);\n        const wrappedKeys',
      '      this.keyring.sealer.useKeys([...keys.dataKeys, dataKey]);\n      await this.unitOfWork.run(async (unit) => {\n        await requireUnchanged(unit, row);\n        const wrappedKeys',
    ],
  ]),
  ...inFile('src/secret-store/record-verification.ts', { rule: STORE, test: damaged }, [
    ['a record that does not open is not named', 'if (found === undefined) continue;', 'continue;'],
  ]),
  ...inFile(
    'src/secret-store/sealed-record.ts',
    { rule: SEALED, test: 'src/secret-store/sealed-record.spec.ts' },
    [
      [
        'a record opens in another store',
        'return enc(place.storeId, keyId, place.name, FORMAT);',
        "return enc('', keyId, place.name, FORMAT);",
      ],
      [
        'a record opens under another name',
        'return enc(place.storeId, keyId, place.name, FORMAT);',
        "return enc(place.storeId, keyId, '', FORMAT);",
      ],
      [
        'the data-key id of a record is not authenticated',
        'return enc(place.storeId, keyId, place.name, FORMAT);',
        "return enc(place.storeId, '', place.name, FORMAT);",
      ],
      [
        'the format of a record is not authenticated',
        'return enc(place.storeId, keyId, place.name, FORMAT);',
        'return enc(place.storeId, keyId, place.name);',
      ],
      ['the tag of a record is not checked', '    decipher.final();\n', ''],
      ['any format is read', 'if (bytes[0] !== FORMAT) {', 'if (false) {'],
      ['a record shorter than any is read', 'if (bytes.length < SHORTEST_RECORD_BYTES) {', 'if (false) {'],
      [
        'a wrapped key of another length is unwrapped',
        'if (wrapped.length !== WRAPPED_KEY_BYTES) {',
        'if (false) {',
      ],
      [
        'records and wrapped keys are sealed for the same use',
        "const WRAPPING_KEY_INFO = 'palyra-data-key-v1';",
        "const WRAPPING_KEY_INFO = 'palyra-record-v1';",
      ],
      [
        'every record is sealed under the same key',
        "return Buffer.from(hkdfSync('sha256', secret, salt, info, KEY_BYTES));",
        "return Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(32), info, KEY_BYTES));",
      ],
    ],
  ),
  ...inFile('src/secret-store/private-file.ts', { rule: STORE, test: openStore }, [
    ['a file that others can read is used', 'if ((stats.mode & OTHERS) === 0) return;', 'if (true) return;'],
    ['a file that the group can read is used', 'const OTHERS = 0o077;', 'const OTHERS = 0o007;'],
    [
      'a file of another user is used',
      'if (user === undefined || user === 0 || stats.uid === user || stats.uid === 0) return;',
      'return;',
      { test: privateFile },
    ],
    ['a key file behind a symbolic link is read', '(options.followLinks ? 0 : constants.O_NOFOLLOW)', '0'],
    [
      'a secret file is made for all to read',
      "const handle = await open(temporary, 'wx', 0o600);",
      "const handle = await open(temporary, 'wx', 0o644);",
    ],
    [
      'the database file is made for all to read',
      "const handle = await open(path, 'wx', 0o600).catch(ignoring('EEXIST'));",
      "const handle = await open(path, 'wx', 0o644).catch(ignoring('EEXIST'));",
    ],
    [
      'the data directory is made for all to enter',
      'await mkdir(path, { mode: 0o700 })',
      'await mkdir(path, { mode: 0o755 })',
      { test: privateFile },
    ],
    [
      'a data directory that others can enter is used',
      'if (!stats.isDirectory()) throw unreadable(path, undefined);\n  privacy.requirePrivate(path, stats);',
      'if (!stats.isDirectory()) throw unreadable(path, undefined);',
    ],
    [
      'a database file that others can read is used',
      'if (!stats.isFile()) throw unreadable(path, undefined);\n  privacy.requirePrivate(path, stats);',
      'if (!stats.isFile()) throw unreadable(path, undefined);',
    ],
    [
      'a secret file is put in the place of one that is there',
      'await link(temporary, path);',
      "await (await import('node:fs/promises')).copyFile(temporary, path);",
      { test: privateFile },
    ],
  ]),
  ...inFile('src/secret-store/master-key.ts', { rule: STORE, test: openStore }, [
    [
      'a device’s lost key file is made anew beside its store',
      "if (source.kind === 'default-key-file' && options.mayCreate) {",
      "if (source.kind === 'default-key-file') {",
      { test: 'src/client/device/device-store.spec.ts' },
    ],
    ['a malformed key file is read', 'if (!KEY_FILE_CONTENT.test(text)) {', 'if (false) {'],
    ['a short passphrase is taken', 'if (passphrase.length < SHORTEST_PASSPHRASE_BYTES) {', 'if (false) {'],
  ]),
  ...inFile('src/secret-store/passphrase.ts', { rule: SEALED, test: 'src/secret-store/passphrase.spec.ts' }, [
    [
      'a weak scrypt cost is taken from the store',
      '  requireScryptBounds(parameters);\n',
      '',
      { test: openStore, only: 'at a cost' },
    ],
    ['the least scrypt cost is lower', 'const LEAST_N = 2 ** 15;', 'const LEAST_N = 2 ** 10;'],
    ['the scrypt cost may stop the start', 'const GREATEST_N = 2 ** 20;', 'const GREATEST_N = 2 ** 24;'],
  ]),
  ...inFile('src/secret-store/secret-name.ts', { rule: SEALED, test: 'test/store/secret-store.spec.ts' }, [
    [
      'a record may be spelt in two cases',
      'if (name.length > LONGEST_NAME || !NAME.test(name) || !hasRightCase(name)) throw invalid(name);',
      'if (name.length > LONGEST_NAME || !NAME.test(name)) throw invalid(name);',
    ],
  ]),
  ...inFile('src/database/process-lock.ts', { rule: STORE, test: 'test/store/process-lock.spec.ts' }, [
    ['two processes may open one store', "connection.exec('BEGIN EXCLUSIVE');", "connection.exec('BEGIN');"],
    [
      'a network file system counts as local',
      'return NETWORK_FILE_SYSTEMS.get(type >>> 0);',
      'return undefined;',
    ],
  ]),
  ...inFile('src/database/store-keys.ts', { rule: STORE, test: openStore }, [
    [
      'a store without its row is made anew',
      "if (row === undefined && hasRows(connection)) throw storeDamaged('its row in table store is missing');\n",
      '',
    ],
  ]),
  ...inFile('src/database/open-store.ts', { rule: STORE, test: openStore }, [
    ['the directory is not judged', '  await requirePrivateDirectory(options.dataDir);\n', ''],
    ['a lost key file is made anew beside its store', 'const given = exists\n', 'const given = false\n'],
    ['the lock is not taken', 'opened.lock = await ProcessLock.take(options.dataDir);', ''],
    [
      'the check record is not opened',
      'if (found !== undefined) sealer.open(CHECK_RECORD_NAME, readCheckRecord(database.connection));\n',
      '',
    ],
    [
      'an audit log that does not end where its head says is gone on with',
      'if (head === null || last === null || !isSamePlace(head, last)) {',
      'if (head === null || last === null) {',
      { rule: AUDIT },
    ],
    [
      'a store whose audit log is gone begins a new one',
      'if (epoch === undefined && head === null && last === null) return EMPTY_CHAIN;',
      'if (head === null && last === null) return EMPTY_CHAIN;',
      { rule: AUDIT },
    ],
    [
      'a restored store leaves its quarantine by its epoch',
      "  if (last.epoch !== epoch) throw storeDamaged('its epoch is not that of its last audit entry');\n",
      '',
      { test: 'test/store/restore.spec.ts', only: 'does not leave its quarantine' },
    ],
  ]),
  ...inFile('src/database/schema-check.ts', { rule: STORE, test: 'test/store/altered-store.spec.ts' }, [
    ['a table may drop rows by a conflict clause', 'ACTING_WORDS.test(table.sql) || ', ''],
    ['the rows of a table may go with those of another', ' || hasForeignKey(connection, table)', ''],
  ]),
  ...inFile('src/secret-store/sealed-record.ts', { rule: SEALED, test: 'test/store/altered-store.spec.ts' }, [
    [
      'a record that is no bytes is opened',
      'if (!(record instanceof Uint8Array)) throw',
      'if (false) throw',
      { only: 'that is no bytes' },
    ],
  ]),
  ...inFile('src/database/sqlite-database.ts', { rule: 'DESIGN §8', test: openStore }, [
    [
      'a power cut takes acknowledged commits',
      "connection.pragma('synchronous = FULL');",
      "connection.pragma('synchronous = NORMAL');",
    ],
    ['readers can write', '      readonly: true,\n', ''],
    ['a store of a later version is opened', '    this.requireKnownMigrations();\n', ''],
    ['a reader may hold a transaction', '      refuseTransaction(sql);\n', ''],
    [
      'a store may hold triggers',
      '      if (connection !== undefined) requireTablesOnly(connection);\n',
      '',
      { test: 'test/store/altered-store.spec.ts', only: 'a trigger' },
    ],
  ]),
  ...inFile('src/database/sqlite-unit-of-work.ts', { rule: UNIT, test: unitOfWork }, [
    ['a unit that fails is not undone', '      this.#statements.rollbackToSavepoint.run();\n', ''],
    [
      'callers are answered before the commit',
      'answers.push(await this.#runJob(job));',
      '(await this.#runJob(job))();',
    ],
    [
      'a query goes on when SQLite has dropped the transaction',
      'if (this.parts.connection.inTransaction) return;\n    this.#loss',
      'if (true) return;\n    this.#loss',
    ],
    ['a unit may commit what it shares', '      refuseTransactionControl(sql);\n', ''],
    ['the audit chain goes on from a unit that was undone', '      this.#pending = chainEnd;\n', ''],
    [
      'the audit chain goes on from a batch that was lost',
      '    this.#pending = this.#committed;\n    const refusal',
      '    const refusal',
    ],
    ['the audit entries of a unit are not written', '      this.#append(events);\n', ''],
    [
      'the head of the chain is not moved',
      'if (this.#pending.sequence !== this.#committed.sequence) this.#statements.updateHead(this.#pending);\n',
      '',
      { test: openStore },
    ],
  ]),
  ...inFile('src/database/unit-scope.ts', { rule: UNIT, test: unitOfWork }, [
    ['a unit may be used after its end', 'if (this.#open) return;', 'if (true) return;'],
    ['a unit may end before its operations', 'if (await scope.end()) throw unfinished();\n', ''],
  ]),
  ...inFile('src/audit/audit-chain.ts', { rule: AUDIT, test: unitOfWork }, [
    [
      'entries are not linked',
      'timeMs, ...event, previous: end.hash };',
      'timeMs, ...event, previous: NO_PREVIOUS_HASH };',
    ],
    [
      'text without a canonical form reaches the chain',
      "if (!text.isWellFormed() || text.includes('\\u0000')) {",
      'if (false) {',
    ],
  ]),
  ...inFile(
    'src/audit/audit-chain.ts',
    { rule: AUDIT, test: verification },
    [
      'epoch',
      'sequence',
      'timeMs',
      'actor',
      'source',
      'action',
      'subject',
      'reason',
      'details',
      'previous',
    ].map((field) => [`the hash of an entry leaves out ${field}`, `    entry.${field},\n`, '']),
  ),
  ...inFile('src/audit/audit-verification.ts', { rule: AUDIT, test: verification }, [
    ['an entry is not held against its hash', "if (!intact) this.report('changed', sequence);\n", ''],
    ['a repeated entry is not found', "      this.report('repeated', sequence);\n", ''],
    [
      'a reordered entry is not found',
      "if (sequence < this.#highest) this.report('reordered', sequence);\n",
      '',
    ],
    [
      'another chain of the same length is not found',
      'if (this.head.sequence === since.sequence && !namesSame(this.head, since))',
      'if (false)',
    ],
    [
      'an entry behind the head is not found',
      "if (sequence > this.head.sequence) this.report('unwitnessed', sequence);\n",
      '',
    ],
    [
      'the signature of a head is not checked',
      "if (!headSignatureHolds(head, this.trust.auditKey)) this.report('head_signature', head.sequence);\n",
      '',
    ],
    [
      'a head of another store is taken',
      "if (!head.storeId.equals(this.trust.storeId)) this.report('other_store', head.sequence);\n",
      '',
    ],
    [
      'a fallen epoch of a head is not found',
      "if (this.head.epoch < since.epoch) this.report('epoch_fell', this.head.sequence);\n",
      '',
    ],
    [
      'a fallen epoch of an entry is not found',
      "if (after.epoch < before.epoch) this.report('epoch_fell', after.sequence);\n",
      '',
    ],
    ['a gap is not found', "      this.report('removed', before.sequence + 1);\n", ''],
    [
      'a missing beginning is not found',
      "if (first > behindSince || since === null) this.report('removed', Math.min(first, behindSince));",
      "if (false) this.report('removed', Math.min(first, behindSince));",
    ],
    [
      'a broken link is not found',
      "if (after.intact && !after.previous.equals(before.hash)) this.report('changed', before.sequence);\n",
      '',
    ],
    [
      'the first entry may name one before it',
      "if (!link.previous.equals(NO_PREVIOUS_HASH)) this.report('changed', 1);\n",
      '',
    ],
    [
      'the link to the older head is not checked',
      "else if (first === behindSince && !link.previous.equals(since.hash)) this.report('changed', first);\n",
      '',
    ],
    [
      'an entry is not held against the head',
      "if (!namesSame(link, head)) this.report('changed', head.sequence);\n",
      '',
    ],
    [
      'a missing end is not found',
      "if (last < witnessed) this.report('cut', last + 1);",
      'if (last < witnessed) return;',
    ],
    [
      'an older head shown as the newer is not found',
      "else if (isEmpty && this.head.sequence < since) this.report('cut', this.head.sequence + 1);\n",
      '',
    ],
  ]),
  ...inFile(
    'src/audit/audit-head.ts',
    { rule: AUDIT, test: verification },
    [
      ['storeId', 'head.storeId, '],
      ['epoch', 'head.epoch, '],
      ['sequence', 'head.sequence, '],
    ].map(([field, text]) => [
      `the signature of a head leaves out ${field}`,
      'return enc(HEAD_LABEL, head.storeId, head.epoch, head.sequence, head.hash);',
      'return enc(HEAD_LABEL, head.storeId, head.epoch, head.sequence, head.hash);'.replace(text, ''),
    ]),
  ),
];

import { inFile } from '../mutation.mjs';

const PIN_FIRST = 'DESIGN §10; PROTOCOL, Operator token';
const AUDIT = 'DESIGN §8: audit';
const NAME = 'DESIGN §3: clients verify the control-plane name';
const DEVICE = 'DESIGN §5, Handshake 3 and §9.3';
const COLLECT = 'DESIGN §5, Collect';

const operator = 'test/cli/operator-client.spec.ts';
const credential = 'src/client/operator-credential.spec.ts';
const device = 'test/cli/device-pairing.spec.ts';

const storeTime = 'src/client/store-time.spec.ts';
const clusterTime = 'src/client/device/cluster-time.spec.ts';
const storeMemory = 'src/cli/store-memory.spec.ts';
const auditExport = 'test/cli/audit-export.spec.ts';
const auditVerify = 'test/cli/audit-verify.spec.ts';

/** What operators' and devices' programs check of the server, and keep to themselves. */
export const client = [
  ...inFile('src/client/operator-credential.ts', { rule: 'DESIGN §4: file permissions', test: credential }, [
    [
      'a token that others may have read is used',
      "if (process.platform === 'win32' || (mode & GROUP_AND_OTHERS) === 0) return;",
      'if (mode !== -1) return;',
    ],
    [
      'a token that the group may have read is used',
      'const GROUP_AND_OTHERS = 0o077;',
      'const GROUP_AND_OTHERS = 0o007;',
    ],
  ]),
  ...inFile('src/client/grpc/pinned-channel.ts', { rule: PIN_FIRST, test: operator, only: 'sends nothing' }, [
    [
      'any root is the pinned one',
      'return hash.length === pin.length && timingSafeEqual(hash, pin);',
      'return true;',
    ],
    [
      'the token goes to whoever shows the pinned root',
      'return { roots: [root.raw], trustDomain };',
      'return { roots: chain.map((certificate) => certificate.raw), trustDomain };',
    ],
    [
      'the token goes to any server of the cluster',
      "  if (trustDomain === undefined) throw falseServer(endpoint, 'its certificate is not one of a control plane');\n",
      '',
    ],
  ]),
  ...inFile('src/client/grpc/control-plane-name.ts', { rule: NAME, test: operator, only: 'sends nothing' }, [
    [
      'a URI of another kind names a control plane',
      'return isDnsName(trustDomain) && uri === controlPlaneUri(trustDomain) ? trustDomain : undefined;',
      'return trustDomain;',
    ],
    [
      'the DNS name of the control plane is not looked for',
      '    if (wrongName !== undefined) return wrongName;\n',
      '',
    ],
  ]),
  ...inFile('src/client/grpc/secure-target.ts', { rule: PIN_FIRST, test: operator }, [
    [
      'the token goes to a server that does not verify',
      '    rejectUnauthorized: true,\n',
      '    rejectUnauthorized: false,\n',
      { only: 'sends nothing' },
    ],
  ]),
  ...inFile('src/client/store-time.ts', { rule: 'DESIGN §4: epoch and sequence', test: storeTime }, [
    [
      'nobody is told when an old store was put back',
      "    if (known !== undefined && compareStoreTime(known, seen) === 'fell') this.onFall(known, seen);\n",
      '',
    ],
    [
      'a sequence outweighs an epoch',
      "if (seen.epoch !== known.epoch) return seen.epoch > known.epoch ? 'rose' : 'fell';\n",
      '',
    ],
  ]),
  ...inFile(
    'src/client/device/cluster-time.ts',
    { rule: 'DESIGN §4: epoch and sequence', test: clusterTime },
    [
      [
        'a device is not told that a bundle is older than what it knows',
        "    if (this.#told || compareStoreTime(this.known, seen) !== 'fell') return;\n",
        '    if (this.#told || this.known.epoch >= 0) return;\n',
      ],
      [
        'a device forgets the time of its cluster when it pairs again',
        '  return { ...told, epoch, sequence };',
        '  return { ...told, epoch: Math.min(epoch, told.epoch), sequence };',
      ],
    ],
  ),
  ...inFile('src/cli/store-memory.ts', { rule: 'DESIGN §4: epoch and sequence', test: storeMemory }, [
    [
      'a command remembers the last store time instead of the highest',
      "    if (known !== undefined && compareStoreTime(known, seen) !== 'rose') return;\n",
      '',
    ],
  ]),
  ...inFile('src/cli/operator-session.ts', { rule: 'DESIGN §4: epoch and sequence', test: auditExport }, [
    [
      'answers are not held against what earlier commands have seen',
      '      knownStoreTime: await memory.read(),\n',
      '',
    ],
  ]),
  ...inFile('src/cli/audit/trust-options.ts', { rule: AUDIT, test: auditVerify }, [
    [
      'an audit key under which everything is signed is taken',
      '  if (!isIdentityKey(raw)) throw badKey();\n',
      '',
    ],
  ]),
  ...inFile('src/cli/audit/export-file.ts', { rule: AUDIT, test: auditVerify }, [
    [
      'bytes that are no text read as if they were',
      '{ fatal: true, ignoreBOM: true }',
      '{ ignoreBOM: true }',
    ],
  ]),
  ...inFile('src/cli/audit/verify.ts', { rule: AUDIT, test: auditVerify }, [
    [
      'an export with findings passes',
      'if (result.findings.length === 0) return;',
      'if (result.entries > 0) return;',
    ],
  ]),
  ...inFile('src/cli/audit/export-stream.ts', { rule: AUDIT, test: auditExport }, [
    [
      'an export without a head is kept',
      'if (head === undefined) throw incomplete();',
      'if (head === undefined) return undefined as never;',
    ],
    ['entries behind the head are kept', ' || head !== undefined) throw', ') throw'],
  ]),
  ...inFile('src/client/device/pair-call.ts', { rule: DEVICE, test: device, only: 'sends no proof' }, [
    [
      'the proof is sent before the pending record is saved',
      "  await options.beforeProof(server);\n  call.write({ message: { $case: 'proof', value: proofMessage(server.makeProof()) } });\n",
      "  call.write({ message: { $case: 'proof', value: proofMessage(server.makeProof()) } });\n  await new Promise((resolve) => setTimeout(resolve, 200));\n  await options.beforeProof(server);\n",
    ],
  ]),
  ...inFile('src/client/device/pairing.ts', { rule: DEVICE, test: device }, [
    [
      'a store is made before the server has shown that it knows the code',
      '    const identity = await this.#identity();\n',
      '    this.store ??= await DeviceStore.create(this.options.directory, this.options.random);\n    const identity = await this.#identity();\n',
      { only: 'leaves nothing behind' },
    ],
    [
      'a link does not pin the channel',
      "    if (code.kind === 'pin') return openUnverifiedChannel(endpoint);\n",
      '    return openUnverifiedChannel(endpoint);\n',
      { rule: 'PROTOCOL, Pairing: Link', only: 'says nothing at all' },
    ],
    [
      'a try is spent before it is known whether its outcome can be kept',
      '  await DeviceStore.requirePlace(options.directory);\n',
      '',
      { test: 'test/cli/device-directory.spec.ts' },
    ],
    [
      'an unfinished pairing is kept for ever',
      'if (pending.expiresAt <= this.options.clock.now()) {',
      'if (false) {',
      { only: 'after 8 days' },
    ],
    [
      'two pairings of one directory mix',
      '      await refuseOvertaken(this.store);\n',
      '',
      { only: 'same time' },
    ],
  ]),
  ...inFile(
    'src/client/device/certificate-check.ts',
    { rule: COLLECT, test: device, only: 'refuses a certificate' },
    [
      [
        'a certificate that does not verify is kept',
        '  if (!verdict.ok) throw refused(`it does not verify (${verdict.reason})`);\n',
        "  if (!verdict.ok) return { chain, fingerprint: '', expiresAt: 0 } as never;\n",
      ],
      [
        'the certificate of another device is kept',
        "  if (verdict.deviceId !== expected.deviceId) throw refused('it is for another device');\n",
        '',
      ],
      [
        'a certificate of another key is kept',
        "  if (!certifies(chain[0], expected.certificateKey)) throw refused('it is for another key');\n",
        '',
      ],
    ],
  ),
  ...inFile('src/client/device/settlement.ts', { rule: COLLECT, test: device }, [
    [
      'what the device proved outlives a refusal',
      "  await store.delete('pending');\n  switch",
      '  switch',
      { only: 'rejected|expired' },
    ],
  ]),
  ...inFile('src/client/device/collection.ts', { rule: COLLECT, test: device }, [
    [
      'the collect token goes to a false server',
      'const target = openBundleChannel(endpoint, pending.cluster);',
      "const { openUnverifiedChannel } = await import('../grpc/unverified-channel.js');\n  const target = openUnverifiedChannel(endpoint);",
      { only: 'false server' },
    ],
  ]),
  ...inFile(
    'src/client/device/device-store.ts',
    { rule: 'DESIGN §4; PROTOCOL, palyra pairing pair', test: device },
    [
      [
        'two processes change one device store',
        'const lock = await takeLock(directory);',
        'const lock = { release: () => undefined } as ProcessLock;',
        { only: 'only one process' },
      ],
      [
        'what a device keeps lies in the clear',
        'await replaceFile(recordPath(this.directory, name), this.sealer.seal(name, value));',
        'await replaceFile(recordPath(this.directory, name), value);',
        { only: 'sealed' },
      ],
    ],
  ),
  ...inFile(
    'src/secret-store/atomic-file.ts',
    { rule: 'DESIGN §4: file permissions', test: device, only: 'nobody else' },
    [
      [
        'the files of a device are readable for all',
        "const handle = await open(temporary, 'wx', 0o600);",
        "const handle = await open(temporary, 'wx', 0o644);",
      ],
    ],
  ),
  ...inFile(
    'src/cli/pairing/qr-file.ts',
    { rule: 'DESIGN §5, Codes', test: 'test/cli/pairing-code.spec.ts' },
    [
      [
        'a picture of a link is written over a file, and others can read it',
        "await open(path, 'wx', 0o600)",
        "await open(path, 'w', 0o644)",
      ],
    ],
  ),
];

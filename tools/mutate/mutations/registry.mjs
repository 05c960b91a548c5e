import { inFile } from '../mutation.mjs';

const DECIDE = 'DESIGN §5, Decide';
const COLLECT = 'DESIGN §5, Collect; PROTOCOL, Pairing: Collect';
const REVOKE = 'DESIGN §6';
const OVERLAP = 'DESIGN §7';
const SEALED_DECIDES = 'DESIGN §4';

const services = 'test/pairing/pairing-services.spec.ts';
const watch = 'test/pairing/request-watch.spec.ts';
const policies = 'test/pairing/code-policies.spec.ts';
const again = 'test/pairing/approved-again.spec.ts';
const succession = 'src/identity/certificate-succession.spec.ts';

/** Decisions, collection, identities, revocation. */
export const registry = [
  ...inFile('src/pairing/pairing-decisions.ts', { rule: DECIDE, test: services }, [
    [
      'a request that was decided is decided again',
      "    if (row.state !== 'pending_approval') throw alreadyDecided(row);\n",
      '',
      { only: 'a decision' },
    ],
    [
      'the row alone says how long a request lives',
      '    if (record.expiresAt <= now) throw requestExpired();\n',
      '',
      { rule: SEALED_DECIDES, test: policies, only: 'comes too late' },
    ],
    [
      'whoever minted a code approves what comes with it',
      '    if (this.parts.separateApprover === true && record.codeCreatedBy === actor) throw minterMayNotApprove();\n',
      '',
      { test: policies, only: 'may not approve' },
    ],
    [
      'a pre-approved code lets in what a person has to decide',
      '    if (conflict !== undefined) return undefined;\n',
      '',
      { test: policies, only: 'leaves to a person' },
    ],
    [
      'a minter who may not approve any more approves',
      '    if (!(await mayApprove(unit, record.codeCreatedBy))) return undefined;\n',
      '',
      { test: policies, only: 'leaves to a person' },
    ],
    [
      'approving twice issues twice',
      '    if (before !== undefined) return { certificate: before };\n',
      '',
      { only: 'a decision' },
    ],
    [
      'what was proved outlives the decision',
      '  await unit.secrets.delete(requestRecordName(requestId));\n',
      '',
      { only: 'a pairing' },
    ],
    [
      'connections of a replaced identity go on',
      "    this.parts.connections.closeOthers(deviceId, fingerprints, 'superseded');\n",
      '',
      { only: 'a device that is known' },
    ],
    [
      'an approval is not audited',
      "audit(unit, { actor, source }, 'pairing.approved', deviceId, reason, {",
      'void ({',
      { rule: 'DESIGN §9.7', only: 'a pairing' },
    ],
    [
      'a rejection is not audited',
      "      audit(unit, { actor, source: caller.source }, 'pairing.rejected', record.deviceId, reason, details);\n",
      '',
      { rule: 'DESIGN §9.7', only: 'a decision' },
    ],
  ]),
  ...inFile(
    'src/pairing/pairing-messages.ts',
    { rule: SEALED_DECIDES, test: services, only: 'an operator' },
    [
      [
        'an operator decides on a row that anybody may have changed',
        'const facts = record ?? row;',
        'const facts = row;',
      ],
    ],
  ),
  ...inFile('src/pairing/pairing-messages.ts', { rule: DECIDE, test: watch, only: 'may mint' }, [
    [
      'a viewer sees the ids of codes that live',
      'codeId: request.codeIsLive && !mayMint ? ',
      'codeId: false ? ',
    ],
  ]),
  ...inFile('src/pairing/request-watch.ts', { rule: 'DESIGN §1', test: watch }, [
    [
      'a watch outlives its credential',
      '  if (await mayLook()) return;\n',
      '  return;\n',
      { only: 'with the credential' },
    ],
    [
      'a watch of a store that was set back goes on',
      '    if (after > now) {',
      '    if (false) {',
      { only: 'where the store is not' },
    ],
    [
      'a watch misses what the log has no more',
      'if (next !== undefined && next.sequence !== after + 1) {',
      'if (false) {',
      { only: 'where the store is not' },
    ],
  ]),
  ...inFile('src/identity/enrolment.ts', { rule: DECIDE, test: services }, [
    [
      'a revoked device id comes back',
      "  if (await view.secrets.read(deviceTombstoneName(applicant.deviceId))) return 'DEVICE_REVOKED';\n",
      '',
      { only: 'a revoked device' },
    ],
    [
      'a revoked key comes back',
      "  if (await view.secrets.read(keyTombstoneName(fingerprint))) return 'DEVICE_REVOKED';\n",
      '',
      { only: 'a revoked device' },
    ],
    [
      'a key belongs to two devices',
      "  if (owner !== null && owner.deviceId !== applicant.deviceId) return 'IDENTITY_KEY_IN_USE';\n",
      '',
      { only: 'a device that is known' },
    ],
    [
      'pairing anew lifts a suspension',
      "  if (known !== undefined && known.suspendedAt !== null) return 'DEVICE_SUSPENDED';\n",
      '',
      { rule: 'DESIGN §7', only: 'suspended' },
    ],
    [
      'a known device id takes another key',
      "  if (known !== undefined && !known.identityKey.equals(applicant.identityKey)) return 'IDENTITY_CHANGED';\n",
      '',
      { only: 'a device that is known' },
    ],
    [
      'an identity is replaced without being asked',
      "const replacing = conflict === 'IDENTITY_CHANGED' && options.replaceIdentity;",
      "const replacing = conflict === 'IDENTITY_CHANGED';",
      { only: 'a device that is known' },
    ],
    [
      'replace_identity overrules every conflict',
      "const replacing = conflict === 'IDENTITY_CHANGED' && options.replaceIdentity;",
      'const replacing = conflict !== undefined && options.replaceIdentity;',
      { only: 'a device that is known|a revoked device' },
    ],
    [
      'the old certificate outlives the identity that was replaced',
      'const sameKey = known !== undefined && !replacing;',
      'const sameKey = known !== undefined;',
      { only: 'a device that is known' },
    ],
  ]),
  ...inFile('src/pairing/collection.ts', { rule: COLLECT, test: services }, [
    [
      'any token collects',
      'findOneBy(PairingRequestRow, { tokenHash })',
      'findOneBy(PairingRequestRow, {})',
      { only: 'collecting' },
    ],
    [
      'what is no token is looked up',
      "  if (token.length !== TOKEN_BYTES) throw malformed('INVALID_TOKEN', 'a collect token is 32 bytes');\n",
      '',
      { only: 'collecting' },
    ],
    [
      'a revoked device completes its pairing',
      '      if (!(await this.isUsable(unit, row))) throw nothingToCollect();\n',
      '',
      { only: 'a revoked device' },
    ],
    [
      'a certificate that no longer counts is handed out again',
      '    if (!(await this.isUsable(committed, row))) throw nothingToCollect();\n',
      '',
      { only: 'cannot collect again' },
    ],
    [
      'an expired certificate is handed out',
      '    if (newest.expiresAt > this.parts.clock.now()) return true;\n',
      '    if (newest.expiresAt > 0) return true;\n',
      { only: 'a certificate' },
    ],
    [
      'a certificate that a newer one has superseded is handed out',
      'const newest = identity?.current ?? null;',
      'const newest = [identity?.previous, identity?.current].find((one) => one?.fingerprint === row.certificateFingerprint) ?? null;',
      { test: again },
    ],
    [
      'a request that is over still waits',
      'if (open && row.expiresAt <= this.parts.clock.now()) {',
      'if (false) {',
      { only: 'a decision' },
    ],
    [
      'the certificate goes out before the pairing is completed',
      '    await this.complete(row, source);\n    return this.row(tokenHash);',
      "    return { ...row, state: 'completed' };",
      { only: 'a pairing' },
    ],
  ]),
  ...inFile('src/ca/certificate-index.ts', { rule: SEALED_DECIDES, test: services, only: 'a certificate' }, [
    [
      'a certificate that somebody put into the index is handed out',
      "if (createHash('sha256').update(issued.der).digest('hex') === fingerprint) return issued;",
      'return issued;',
    ],
  ]),
  ...inFile('src/identity/device-csr.ts', { rule: 'DESIGN §7', test: 'src/identity/device-csr.spec.ts' }, [
    [
      'the identity key is a certificate key',
      "if (csr.algorithm === 'ed25519' && csr.spki.subarray(-identityKey.length).equals(identityKey)) {",
      'if (false) {',
    ],
  ]),
  ...inFile('src/pairing/housekeeping.ts', { rule: 'DESIGN §5', test: services, only: 'housekeeping' }, [
    [
      'an identity that nobody collected stays',
      "  if (row.state === 'approved') await withdrawUncollected(unit, row);\n",
      '',
    ],
    [
      'what was proved outlives an expired request',
      '  await unit.secrets.delete(requestRecordName(row.requestId));\n',
      '',
    ],
    ['a verifier outlives its code', '  await unit.secrets.delete(codeRecordName(codeId));\n', ''],
    [
      'tries are not audited',
      "        action: 'pairing.tried',\n",
      "        action: 'nothing',\n",
      { rule: 'PROTOCOL, Pairing: Mint', test: 'test/pairing/pairing-codes.spec.ts', only: 'wrong PIN' },
    ],
  ]),
  ...inFile('src/identity/identity-manager.ts', { rule: REVOKE, test: services, only: 'a revoked device' }, [
    [
      'clearing takes a device that is admitted out of the list',
      "const isRevoked = row.state === 'revoked' && identity === undefined;",
      "const isRevoked = row.state === 'revoked';",
    ],
    ['revocation leaves the identity', '    await unit.secrets.delete(deviceRecordName(deviceId));\n', ''],
    [
      'revocation does not keep the device id out',
      '  await unit.secrets.write(deviceTombstoneName(tombstone.deviceId), bytes);\n',
      '',
    ],
    [
      'revocation does not keep the key out',
      '  await unit.secrets.write(keyTombstoneName(tombstone.identityFingerprint), bytes);\n',
      '',
    ],
    [
      'revocation leaves connections open',
      "const closedConnections = this.parts.connections.closeDevice(deviceId, 'revoked');",
      'const closedConnections = 0;',
    ],
    [
      'connections are closed before the revocation is committed',
      "    const row = await this.parts.unitOfWork.run((unit) => this.revokeInUnit(unit, caller, deviceId, reason));\n    this.parts.announceRevocation(deviceId);\n    const closedConnections = this.parts.connections.closeDevice(deviceId, 'revoked');\n",
      "    const closedConnections = this.parts.connections.closeDevice(deviceId, 'revoked');\n    const row = await this.parts.unitOfWork.run((unit) => this.revokeInUnit(unit, caller, deviceId, reason));\n",
    ],
    [
      'a revocation is not audited',
      "    audit(unit, caller, 'device.revoked', deviceId, reason, { certificates: certificatesOf(identity) });\n",
      '',
      { rule: 'DESIGN §9.7' },
    ],
    [
      'a row decides which key is kept out',
      'identity === undefined ? row.identityFingerprint : identityFingerprint(identity.identityKey);',
      'row.identityFingerprint;',
      { rule: SEALED_DECIDES },
    ],
  ]),
  ...inFile('src/pairing/pairing-decisions.ts', { rule: COLLECT, test: again }, [
    [
      'an approval that nobody collected pushes out the certificate that the device works with',
      'const withdrawn = uncollected.flatMap((row) => row.certificateFingerprint ?? []);',
      'const withdrawn: string[] = [];',
    ],
    [
      'a device has two certificates to collect',
      '    await endUncollected(unit, uncollected, { actor, source, requestId });\n',
      '',
    ],
  ]),
  ...inFile('src/identity/certificate-succession.ts', { rule: OVERLAP, test: succession }, [
    [
      'a certificate that nobody collected comes back once the one after it is withdrawn',
      '  if (previous?.fingerprint === fingerprint) return { ...identity, previous: null };\n',
      '',
    ],
    [
      'the overlap is longer',
      'OVERLAP_AFTER_ADMISSION_MS = 60_000',
      'OVERLAP_AFTER_ADMISSION_MS = 90_000',
      { test: 'test/quic/admission.spec.ts', only: 'overlap is over' },
    ],
    [
      'any certificate of the device counts as its previous one',
      '  if (previous?.fingerprint !== fingerprint) return undefined;\n',
      '  if (previous === null) return undefined;\n',
    ],
    [
      'the overlap outlives the certificate',
      'return Math.min(previous.expiresAt, admittedAt + overlapMs);',
      'return admittedAt + overlapMs;',
    ],
    [
      'the overlap does not end',
      'return Math.min(previous.expiresAt, admittedAt + overlapMs);',
      'return previous.expiresAt;',
    ],
    [
      'each use of the new certificate prolongs the overlap',
      ' || current.firstAdmittedAt !== null)\n',
      ')\n',
    ],
  ]),
];

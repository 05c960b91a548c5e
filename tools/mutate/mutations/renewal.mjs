import { inFile } from '../mutation.mjs';

const RENEWAL = 'DESIGN §7';
const SIGNED = 'PROTOCOL, Renew';
const SEALED_DECIDES = 'DESIGN §4';

const services = 'test/pairing/renewals.spec.ts';
const rule = 'src/identity/renewal-rule.spec.ts';
const request = 'src/identity/renewal-request.spec.ts';
const device = 'test/cli/device-renewal.spec.ts';
const cluster = 'src/client/device/known-cluster.spec.ts';

/** Renewal and return, on both sides. */
export const renewal = [
  ...inFile('src/identity/renewal-request.ts', { rule: SIGNED, test: request }, [
    [
      'a renewal needs no signature of the identity key',
      '  if (!(await verifyIdentitySignatureOnPool(identityKey, statement, request.signature))) return undefined;\n',
      '',
    ],
    [
      'a renewal holds in another trust domain',
      'return enc(LABEL, trustDomain, request.deviceId, request.parent, request.csr);',
      "return enc(LABEL, '', request.deviceId, request.parent, request.csr);",
    ],
    [
      'strangers learn what is wrong with a PKCS#10 request',
      '  const statement = renewalStatement(trustDomain, request);\n',
      '  const statement = renewalStatement(trustDomain, request);\n  await verifyDeviceCsrOnPool(request.csr, identityKey);\n',
    ],
  ]),
  ...inFile('src/ca/pool-verification.ts', { rule: SIGNED, test: request }, [
    [
      'every signature that is checked on the pool holds',
      'if (error === null) resolve(valid);',
      'if (error === null) resolve(true);',
    ],
  ]),
  ...inFile(
    'src/identity/node-renewal.controller.ts',
    { rule: RENEWAL, test: 'test/service/node-rpc.spec.ts' },
    [
      [
        'strangers behind the same address keep a device from renewing over QUIC',
        'const refusedAs = deviceRecordName(context.deviceId);',
        'const refusedAs = context.remoteAddress;',
        { only: 'strangers behind' },
      ],
    ],
  ),
  ...inFile('src/identity/node-renewal-params.ts', { rule: RENEWAL, test: 'test/service/node-rpc.spec.ts' }, [
    [
      'a connection renews the certificate of another device',
      'if (deviceId !== connectedAs) {',
      'if (false) {',
      { only: 'another device id' },
    ],
  ]),
  ...inFile('src/identity/renewal-rule.ts', { rule: RENEWAL, test: rule }, [
    [
      'a restored store forgets who was copied, for good',
      'return restoredAt !== null && newest.issuedAt <= restoredAt && !parentKnown;',
      'return restoredAt !== null && !parentKnown;',
    ],
    [
      'any store believes a parent that it does not know',
      'return restoredAt !== null && newest.issuedAt <= restoredAt && !parentKnown;',
      'return !parentKnown;',
    ],
    [
      'a restored store takes an older certificate of its own for a forgotten one',
      'return restoredAt !== null && newest.issuedAt <= restoredAt && !parentKnown;',
      'return restoredAt !== null && newest.issuedAt <= restoredAt;',
    ],
    [
      'a suspended device renews',
      "  if (identity.suspendedAt !== null) return refused('DEVICE_SUSPENDED');\n",
      '',
    ],
    ['any parent will do', 'if (!isCertified && !isParent)', 'if (false)'],
    ['a lost answer is a conflict', 'if (!isCertified && !isParent)', 'if (!isParent)'],
    [
      'an expired certificate is given again',
      'if (isCertified && newest.expiresAt > now)',
      'if (isCertified)',
    ],
    [
      'a device returns after the grace',
      'if (returning && now >= newest.expiresAt + policy.returnGraceMs)',
      'if (false)',
    ],
    ['a key of another device is certified', "  if (wish.keyInUse) return refused('KEY_IN_USE');\n", ''],
  ]),
  ...inFile('src/identity/renewals.ts', { rule: RENEWAL, test: services }, [
    [
      'a suspension leaves connections open',
      "      if (outcome.action === 'suspend') connections.closeDevice(renewal.deviceId, 'suspended');\n",
      '',
      { only: 'two copies' },
    ],
    [
      'a conflict is not kept, because its call is refused',
      '        await noteConflict(unit, identity, renewal, { action: decision.action, source, now });\n        return decision;\n',
      '        await noteConflict(unit, identity, renewal, { action: decision.action, source, now });\n        throw conflictError(decision.action);\n',
      { only: 'two copies' },
    ],
    [
      'a flagged conflict suspends',
      "  const suspendedAt = action === 'suspend' ? now : null;\n",
      '  const suspendedAt = now;\n',
      { only: 'two copies' },
    ],
    [
      'a flagged conflict is audited each time',
      "  if (action === 'flag' && identity.conflictAt !== null) return;\n",
      '',
      { only: 'two copies' },
    ],
    [
      'connections on the certificate before the last stay open',
      "    connections.closeOthers(renewal.deviceId, certificatesOf(outcome.identity), 'superseded');\n",
      '',
      { only: 'a renewal' },
    ],
    [
      'a certificate that is gone from the index is not given a successor',
      '        if (issued !== undefined && this.parts.authority.trusts(issued.issuerKeyId))\n',
      '        if (issued === undefined) throw renewalRefused();\n        else\n',
      { only: 'a renewal' },
    ],
    [
      'a renewal is not audited',
      "    unit.audit.append({ actor: subject, source, action: 'device.renewed', subject, details });\n",
      '',
      { rule: 'DESIGN §9.7', only: 'a renewal' },
    ],
    [
      'refused renewals are not counted',
      '      if (isRefusal(error)) this.parts.limits.refused(refusedAs);\n',
      '',
      { rule: 'docs/security.md, Limits', only: 'somebody else' },
    ],
    [
      'a device is given any number of certificates',
      '    this.parts.allowance.require(deviceId);\n',
      '',
      { rule: 'docs/protocol.md, Renewal', only: 'ever more certificates' },
    ],
    [
      'certificates given are not counted',
      '    if (outcome.isNew) this.parts.allowance.spend(renewal.deviceId);\n',
      '',
      { rule: 'docs/protocol.md, Renewal', only: 'ever more certificates' },
    ],
  ]),
  ...inFile('src/identity/enrolment.ts', { rule: RENEWAL, test: services }, [
    [
      'a key of another device is certified at approval',
      "  if (await isKeyOfAnother(view, applicant.keyHash, applicant.deviceId)) return 'KEY_IN_USE';\n",
      '',
      { only: 'a key that is certified' },
    ],
    [
      'a row alone keeps a key out',
      'if (other?.current?.keyHash === keyHash || other?.previous?.keyHash === keyHash) return true;',
      'if (other !== null) return true;',
      { rule: SEALED_DECIDES, only: 'a key that is certified' },
    ],
  ]),
  ...inFile('src/identity/certificate-succession.ts', { rule: RENEWAL, test: services }, [
    [
      'a device cannot return once a certificate that nobody collected was withdrawn',
      'return previous === null ? undefined : { ...identity, current: previous, previous: null };',
      'return undefined;',
      { only: 'a device that was off' },
    ],
  ]),
  ...inFile('src/client/device/renewal.ts', { rule: RENEWAL, test: device }, [
    ['the new key is not saved before it is asked for', '  await writeRenewal(store, renewal);\n', ''],
    [
      'each try asks for another key',
      '  if (begun?.parent === certificate.fingerprint && !isDone) return begun;\n',
      '',
    ],
    [
      'the device keeps a certificate that it has not checked',
      'checkCertificate(certificateChain, expected, clock.now());',
      "{ chain: certificateChain, fingerprint: '', expiresAt: 0 };",
    ],
  ]),
  ...inFile('src/client/device/known-cluster.ts', { rule: 'DESIGN §4', test: cluster }, [
    [
      'a bundle of another cluster is taken over',
      'bundle === undefined || bundle.trustDomain !== known.trustDomain || bundle.roots.length === 0',
      'bundle === undefined',
    ],
    [
      'a store that is older than before is not noticed',
      "  if (compareStoreTime(known, seen) === 'fell') return { ...unchanged, storeTimeFell: true };\n",
      '',
    ],
  ]),
];

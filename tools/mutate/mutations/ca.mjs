import { inFile } from '../mutation.mjs';

const CSR = 'DESIGN §3; RFC 2986 §4';
const PROFILES = 'DESIGN §3, Profiles';
const X509 = 'DESIGN §3; RFC 5280';
const OUTPUT = 'STYLE 11: check own output';
const ADMISSION = 'DESIGN §6; RFC 5280 §6.1';
const FIXED = 'DESIGN §3: the trust domain is fixed at first start';
const DAMAGED = 'DESIGN §4: a damaged record is refused';
const ROTATION = 'DESIGN §3, Rotation';
const STRICT_DER = 'X.690 §10.1';

const csr = 'src/ca/csr.spec.ts';
const der = 'src/ca/der.spec.ts';
const profiles = 'src/ca/profiles.spec.ts';
const template = 'src/ca/template.spec.ts';
const authority = 'test/ca/certificate-authority.spec.ts';
const issued = 'test/ca/issued-certificates.spec.ts';
const chains = 'test/ca/chain-verification.spec.ts';
const servers = 'test/ca/server-certificates.spec.ts';
const rotation = 'test/ca/rotation.spec.ts';
const rotatedChains = 'test/ca/rotation-openssl.spec.ts';

const output = (field, find, replace = 'if (false)') => [
  `a certificate with another ${field} is let out`,
  find,
  replace,
];

/** Requests, certificates, the chain that admission looks at. */
export const ca = [
  ...inFile('src/ca/csr.ts', { rule: CSR, test: csr }, [
    ['a request of any size is read', 'if (bytes.length > MAX_CSR_BYTES)', 'if (false)'],
    [
      'a request may name another signature algorithm than its key',
      'if (!signatureAlgorithm.equals(SIGNATURE_ALGORITHM[key.algorithm])) {',
      'if (false) {',
    ],
    ['nobody proves to hold the key', 'if (!verifies) {', 'if (false) {'],
    ['bytes may follow a request', '    request.end();\n', ''],
    [
      'a request of another version is read',
      "  if (smallIntegerOf(reader.next(TAG.integer)) !== 0) throw new DerError('unknown version');\n",
      '  reader.next(TAG.integer);\n',
    ],
    ['a key of another kind is certified', "if (key === 'unsupported') {", 'if (false) {'],
    ['a key that is no point is certified', "if (key === 'invalid')", 'if (false)'],
  ]),
  ...inFile('src/ca/public-key.ts', { rule: CSR, test: csr }, [
    [
      'an Ed25519 key of small order is certified',
      "  if (!isCanonicalEd25519(keyBits)) return 'invalid';\n",
      '',
    ],
    [
      'a key is read from another form',
      'spki.compare(header, 0, header.length, 0, header.length) === 0',
      'true',
    ],
    ['a point is read in another form', "  if (keyBits[0] !== UNCOMPRESSED) return 'unsupported';\n", ''],
  ]),
  ...inFile('src/ca/der.ts', { rule: STRICT_DER, test: der }, [
    [
      'a length has several forms',
      "    if (!shortest) throw new DerError('the length is not in its shortest form');\n",
      '',
    ],
    [
      'bytes may follow an element',
      "if (!this.done) throw new DerError('bytes follow where nothing should');",
      '',
    ],
    [
      'an integer has several forms',
      "  if (second < 0x80) throw new DerError('the integer is not in its shortest form');\n",
      '',
    ],
    [
      'an element reaches out of what holds it',
      'if (from + length > this.limit)',
      'if (from + length > this.bytes.length)',
    ],
    ['a negative integer is read', "  if (first >= 0x80) throw new DerError('negative integer');\n", ''],
  ]),
  ...inFile('src/ca/template.ts', { rule: X509, test: template }, [
    ['serial numbers are short', 'const SERIAL_BYTES = 16;', 'const SERIAL_BYTES = 8;'],
    ['a serial number may begin with zero', ' && serial[0] !== 0', ''],
    ['a leaf outlives its CA', 'notAfter: Math.min(notAfter, ca.notAfter)', 'notAfter'],
    [
      'a CA issues while it is not valid',
      'if (issuedAt < ca.notBefore || issuedAt >= ca.notAfter) {',
      'if (false) {',
    ],
  ]),
  ...inFile('src/ca/profiles.ts', { rule: PROFILES, test: profiles }, [
    ['a device may pose as a server', "purposes: ['clientAuth'],", "purposes: ['clientAuth', 'serverAuth'],"],
    ['a server may pose as a device', "purposes: ['serverAuth'],", "purposes: ['serverAuth', 'clientAuth'],"],
    [
      'a device certificate may sign certificates',
      "    keyUsage: ['digitalSignature'],\n    purposes: ['clientAuth'],",
      "    keyUsage: ['digitalSignature', 'keyCertSign'],\n    purposes: ['clientAuth'],",
    ],
    [
      'a device certificate is a CA',
      '    ca: null,\n    subjectId: `device/${deviceId}`,',
      '    ca: { pathLength: 0 },\n    subjectId: `device/${deviceId}`,',
    ],
    [
      'a certificate is issued for what is no device id',
      "  if (!isDeviceId(deviceId)) throw malformed('DEVICE_ID', 'the device id must be a ULID in upper case');\n",
      '',
    ],
    ['a server name of any form is certified', ' && isDnsName(lowerCase)', ''],
    ['an address with a zone is certified', "version === 6 && !name.includes('%')", 'version === 6'],
  ]),
  ...inFile('src/ca/extension-writer.ts', { rule: X509, test: issued }, [
    [
      'basicConstraints is not critical',
      'return criticalExtension(OID.basicConstraints, value);',
      'return extension(OID.basicConstraints, value);',
    ],
    [
      'keyUsage is not critical',
      'return criticalExtension(OID.keyUsage, ',
      'return extension(OID.keyUsage, ',
    ],
    [
      'a name may hold any character',
      '  if (!/^[\\x21-\\x7e]+$/.test(text))',
      '  if (text.length > 1e6)',
      { test: 'src/ca/extension-writer.spec.ts' },
    ],
  ]),
  ...inFile('src/ca/tbs-encoder.ts', { rule: X509, test: issued }, [
    [
      'one kind of certificate gets what another is for',
      "${purposes.join(',')} ${urls}`;",
      '${purposes.length} ${urls}`;',
    ],
  ]),
  ...inFile('src/ca/der-writer.ts', { rule: 'RFC 5280 §4.1.2.5', test: 'src/ca/der-writer.spec.ts' }, [
    ['GeneralizedTime begins too late', 'Date.UTC(2050, 0, 1)', 'Date.UTC(2051, 0, 1)'],
    ['an integer with its top bit set is negative', 'return first < 0x80 ? ', 'return first <= 0xff ? '],
  ]),
  ...inFile('src/ca/signer.ts', { rule: 'DESIGN §3', test: issued }, [
    ['a CA may have any kind of key', "key.asymmetricKeyDetails?.namedCurve !== 'prime256v1'", 'false'],
  ]),
  ...inFile('src/ca/output-check.ts', { rule: OUTPUT, test: authority, only: 'check of own output' }, [
    output('serial number', 'if (!certificate.serial.equals(template.serial))'),
    output('issuer', 'if (!certificate.issuer.equals(issuer.name))'),
    output('subject', 'if (!same(readDistinguishedName(certificate.subject), template.profile.subject))'),
    output('notBefore', 'if (certificate.notBefore !== template.notBefore)'),
    output('notAfter', 'if (certificate.notAfter !== template.notAfter)'),
    output('public key', 'if (!certificate.spki.equals(template.spki))'),
    output('signature', "if (!verify('sha256', certificate.tbs, issuer.publicKey, certificate.signature))"),
    output('set of extensions', 'if (!hasExpected(extensions, profile))'),
    output('mark of what is critical', 'if (critical !== CRITICAL.has(oid))'),
    output('basicConstraints', 'if (constraints?.ca !== (profile.ca !== null))'),
    output('path length', 'if (constraints.pathLength !== profile.ca?.pathLength)'),
    output('keyUsage', 'if (!same(readKeyUsageBits(certificate), bits))'),
    output('extKeyUsage', 'if (!same(readPurposes(certificate) ?? [], purposes))'),
    output('subjectAltName', 'if (!same(readSubjectAltNames(certificate) ?? [], profile.subjectAltNames))'),
    output(
      'subject key identifier',
      'if (!readSubjectKeyIdentifier(certificate)?.equals(subjectKeyIdentifier))',
    ),
    output(
      'authority key identifier',
      'if (!readAuthorityKeyIdentifier(certificate)?.equals(authorityKeyIdentifier))',
    ),
  ]),
  ...inFile('src/ca/issuer.ts', { rule: OUTPUT, test: authority }, [
    [
      'nobody looks at what was signed',
      '  checkOwnOutput(der, template, subjectKey, signatory);\n',
      '',
      { test: authority },
    ],
    [
      'a CA signs with a key that is not its certificate’s',
      "  if (!spki.equals(certificate.spki)) throw new Error('the private key is not that of the certificate');\n",
      '',
      { rule: DAMAGED },
    ],
    [
      'a certificate that is no CA’s signs',
      "  if (!isCa) throw new Error('the certificate is not that of a CA');\n",
      '',
      { rule: DAMAGED },
    ],
  ]),
  ...inFile('src/ca/root-set.ts', { rule: FIXED, test: authority }, [
    ['the CA takes another trust domain', 'if (root.trustDomain !== trustDomain) {', 'if (false) {'],
    [
      'two CA keys sign',
      'if (root === undefined || signing.length > 1) {',
      'if (root === undefined) {',
      { rule: 'DESIGN §3, Rotation' },
    ],
  ]),
  ...inFile('src/ca/certificate-authority.ts', { rule: FIXED, test: authority }, [
    [
      'a new CA locks all devices out',
      '    await refuseWithDevices(unit.secrets);\n',
      '',
      { rule: 'DESIGN §3' },
    ],
    [
      'a certificate for anything that is asked',
      'return this.#issue(profile, request.csr.spki, request.lifetimeMs);',
      'return this.#issue({ ...profile, subject: [...profile.subject, ...profile.subject] }, request.csr.spki, request.lifetimeMs);',
      { rule: PROFILES },
    ],
  ]),
  ...inFile('src/ca/cluster-record.ts', { rule: FIXED, test: authority }, [
    [
      'the trust domain of a store changes with the settings',
      'if (wanted === undefined || wanted === trustDomain) return trustDomain;',
      'return wanted ?? trustDomain;',
    ],
  ]),
  ...inFile(
    'src/ca/verified-signatures.ts',
    { rule: ADMISSION, test: 'src/ca/verified-signatures.spec.ts' },
    [
      [
        'a wrong signature is remembered as a good one',
        '    if (!verify()) return false;\n    this.#remember(digest);\n    return true;',
        '    this.#remember(digest);\n    return verify();',
      ],
      [
        'what is remembered grows without bound',
        '    if (this.#digests.size <= this.max) return;\n',
        '    if (this.#digests.size > 0) return;\n',
      ],
    ],
  ),
  ...inFile('src/ca/chain-verification.ts', { rule: ADMISSION, test: chains, only: 'certificate|chain' }, [
    ['nobody need have signed', "  if (!path.reachesRoot(leaf, 0)) return refused('untrusted');\n", ''],
    [
      'a critical extension that nobody knows is let pass',
      "  if (hasUnknownCritical(leaf)) return 'malformed';\n",
      '',
    ],
    ['a certificate counts before its time', "  if (now < leaf.notBefore) return 'not_yet_valid';\n", ''],
    ['an expired certificate counts', "  if (now > leaf.notAfter) return 'expired';\n", ''],
    [
      'a CA’s certificate comes in',
      "if (readBasicConstraints(leaf)?.ca === true || !hasKeyUsage(leaf, 'digitalSignature')) return 'not_a_leaf';",
      "if (!hasKeyUsage(leaf, 'digitalSignature')) return 'not_a_leaf';",
    ],
    [
      'a key that may not sign a handshake comes in',
      "if (readBasicConstraints(leaf)?.ca === true || !hasKeyUsage(leaf, 'digitalSignature')) return 'not_a_leaf';",
      "if (readBasicConstraints(leaf)?.ca === true) return 'not_a_leaf';",
    ],
    [
      'the EKU may be absent',
      'if (purposes?.length !== 1 || purposes[0] !== PURPOSE_OID.clientAuth)',
      'if (purposes !== undefined && (purposes.length !== 1 || purposes[0] !== PURPOSE_OID.clientAuth))',
    ],
    [
      'the EKU may hold more than clientAuth',
      'if (purposes?.length !== 1 || purposes[0] !== PURPOSE_OID.clientAuth)',
      'if (purposes?.[0] !== PURPOSE_OID.clientAuth)',
    ],
    [
      'the EKU may be any one',
      'if (purposes?.length !== 1 || purposes[0] !== PURPOSE_OID.clientAuth)',
      'if (purposes?.length !== 1)',
    ],
    [
      'there may be other names',
      "if (name?.type !== 'uri' || others.length > 0) return refused('san');",
      "if (name?.type !== 'uri') return refused('san');",
    ],
    [
      'a DNS name counts as a URI',
      "if (name?.type !== 'uri' || others.length > 0) return refused('san');",
      "if (name === undefined || name.type === 'other' || others.length > 0) return refused('san');\n  if (name.type === 'dns') return { ok: true, deviceId: '', fingerprint: '', notAfter: leaf.notAfter };",
    ],
    [
      'devices of other clusters come in',
      "  if (device.trustDomain !== trustDomain) return refused('trust_domain');\n",
      '',
    ],
    [
      'a root that has expired vouches',
      'new PathSearch(validAt(roots.map(parsedRoot), now), ',
      'new PathSearch(roots.map(parsedRoot), ',
    ],
    ['an intermediate that has expired vouches', 'validAt(readable(rest), now))', 'readable(rest))'],
    [
      'whoever has a certificate may sign others',
      'if (constraints?.ca !== true || hasUnknownCritical(ca)) return false;',
      'if (constraints === undefined || hasUnknownCritical(ca)) return false;',
    ],
    [
      'a CA may have an extension that nobody knows',
      'if (constraints?.ca !== true || hasUnknownCritical(ca)) return false;',
      'if (constraints?.ca !== true) return false;',
    ],
    ['the path may be longer than the root says', 'return withinPath && ', 'return '],
    [
      'a CA need not be one for certificates',
      "return withinPath && hasKeyUsage(ca, 'keyCertSign');",
      'return withinPath;',
    ],
    [
      'a signature is not verified',
      "verify('sha256', certificate.tbs, verifier.key, certificate.signature)",
      'true',
    ],
    [
      'a signature found good vouches for any other on the same content',
      'verifier?.verified.holds(certificate.der, ',
      'verifier?.verified.holds(certificate.tbs, ',
    ],
    [
      'one peer may have us verify without end',
      'return this.#verifications <= MAX_VERIFICATIONS && ',
      'return ',
    ],
  ]),
  ...inFile('src/ca/spiffe-id.ts', { rule: ADMISSION, test: chains }, [
    ['a device id in another spelling comes in', ' || !isDeviceId(deviceId)', ''],
  ]),
  ...inFile('src/ca/certificate-parser.ts', { rule: X509, test: chains }, [
    [
      'the algorithm that nobody signed counts',
      "if (!body.next(TAG.sequence).raw.equals(signatureAlgorithm)) throw new DerError('two signature algorithms');",
      'body.next(TAG.sequence);',
    ],
    [
      'an extension may stand there twice',
      '    if (extensions.has(oid)) throw new DerError(`the extension ${oid} stands there twice`);\n',
      '',
    ],
  ]),
  ...inFile('src/ca/server-certificates.ts', { rule: 'DESIGN §3', test: servers }, [
    ['a stored certificate is used after its time', 'if (isHeld || !isFresh || ', 'if (isHeld || '],
    ['a stored certificate is used for other names', ' || !stillFits(stored, authority, names)', ''],
    ['a renewal is due by one clock only', ' || clock.monotonic() >= dueMonotonic', ''],
  ]),
  ...inFile('src/ca/rotation/rotation-rule.ts', { rule: ROTATION, test: rotation }, [
    ['a root in use is retired', 'return until >= now ? until : undefined;', 'return undefined;'],
    ['a root is retired with its last certificate alive', 'until >= now ? until', 'until > now ? until'],
    ['a link does not hold its root', ', use.lastLinkExpiresAt ?? 0)', ')'],
    ['the root that signs is retired', "if (root.state === 'signing') {", 'if (false) {'],
    [
      'an old root signs again',
      "  if (root.state !== 'prepared') throw wrongStep(root, 'only a prepared root can be activated');\n",
      '',
    ],
    ['two roots are prepared', 'if (prepared !== undefined) {', 'if (false) {'],
    [
      'a chain has ways from two old roots',
      'if (older.length <= MOST_OLDER_ROOTS) return older;',
      'return older;',
    ],
  ]),
  ...inFile('src/ca/rotation/ca-rotation.ts', { rule: ROTATION, test: rotation }, [
    [
      'a clock that is ahead takes the way back from devices',
      'if (this.parts.isHeldUp()) return 0;',
      '',
      { only: 'then forgotten' },
    ],
    [
      'nothing is asked before a root is retired',
      '      requireUnused(await this.useOf(unit, root, now), now);\n',
      '',
    ],
    [
      'a prepared root signs',
      "this.addRoot(unit, { state: 'prepared', crossSigners })",
      "this.addRoot(unit, { state: 'signing', crossSigners })",
    ],
    [
      'a prepared root has no way from the old one',
      "{ state: 'prepared', crossSigners }",
      "{ state: 'prepared' }",
    ],
    [
      'two roots sign after an activation',
      "      await changeRoot(unit, before, { state: 'retiring', supersededAt: now });\n",
      '',
    ],
    [
      'a compromised root certifies its successor',
      "this.addRoot(unit, { state: 'signing' })",
      "this.addRoot(unit, { state: 'signing', crossSigners: set.all.map(({ issuer }) => issuer) })",
    ],
    [
      'tokens outlive the compromise of what they pin',
      'await dependants.endPinned(unit)',
      '{ operators: 0, links: 0 }',
    ],
  ]),
  ...inFile('src/ca/root-set.ts', { rule: ROTATION, test: rotation }, [
    ['a retired root is trusted', "=> state !== 'retired';", '=> true;'],
    [
      'the root that signs is somewhere in the bundle',
      '[signing, ...[...others].sort((one, other) => one.createdAt - other.createdAt)]',
      '[...others, signing].sort((one, other) => one.createdAt - other.createdAt)',
    ],
    [
      'a chain leads to roots that nobody need trust',
      '      ...crosses.map(({ der }) => der),\n      root.issuer.certificate.der,\n',
      '      root.issuer.certificate.der,\n      ...crosses.map(({ der }) => der),\n',
    ],
    ['a pairing under way is cut off', 'Math.max(returnGraceMs, PENDING_RECORD_MS)', 'returnGraceMs'],
  ]),
  ...inFile('src/ca/profiles.ts', { rule: ROTATION, test: rotatedChains }, [
    ['a CA may stand below a cross-certificate', 'ca: { pathLength: 0 }', 'ca: { pathLength: 1 }'],
  ]),
];

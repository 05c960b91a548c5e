import { inFile } from '../mutation.mjs';

const CODE = 'PROTOCOL, Pairing: Code and Link';
const HELLO = 'PROTOCOL, Pairing: hello and order of checks';
const TRANSCRIPT = 'PROTOCOL, Pairing: T';
const SPAKE2PLUS = 'PROTOCOL, Pairing: Key schedule; RFC 9383 §3';
const PROOF = 'PROTOCOL, Pairing: proof and order of checks';
const TRIES = 'DESIGN §5, Codes and Handshake';
const LIMITS = 'DESIGN §5, Limits';

const codes = 'src/pairing/protocol/code.spec.ts';
const handshake = 'src/pairing/protocol/handshake.spec.ts';
const messages = 'src/pairing/protocol/messages.spec.ts';
const p256 = 'src/spake2plus/p256.spec.ts';
const spake2plus = 'src/spake2plus/spake2plus.spec.ts';
const ed25519 = 'src/identity/ed25519.spec.ts';
const conversation = 'src/pairing/pair-conversation.spec.ts';
const startLimits = 'src/pairing/start-limits.spec.ts';
const policies = 'test/pairing/code-policies.spec.ts';
const live = 'test/pairing/pairing-codes.spec.ts';

/** The texts that people and links carry. */
const codeForms = [
  ...inFile('src/encoding/crockford.ts', { rule: CODE, test: codes }, [
    [
      'letters outside ASCII are taken for others',
      '  if (!/^[0-9A-Za-z]*$/.test(dense)) return undefined;\n',
      '',
    ],
    ['a U stands in a code', "return isCrockford(upper, 'upper') ? upper : undefined;", 'return upper;'],
    [
      'a fill bit may be set, so that a secret has two spellings',
      'return buffered === 0 ? bytes : undefined;',
      'return bytes;',
      { rule: 'PROTOCOL, Operator token', test: 'src/operators/token.spec.ts' },
    ],
  ]),
  ...inFile('src/encoding/base64url.ts', { rule: CODE, test: 'src/encoding/base64url.spec.ts' }, [
    [
      'a value has several spellings',
      'return encodeBase64Url(bytes) === text ? bytes : undefined;',
      'return bytes;',
    ],
    ['a value has another length', '  if (bytes.length !== byteLength) return undefined;\n', ''],
  ]),
  ...inFile(
    'src/encoding/canonical.ts',
    { rule: 'PROTOCOL, Encoding', test: 'src/encoding/canonical.spec.ts' },
    [
      ['a lone surrogate is hashed', 'if (!text.isWellFormed())', 'if (false)'],
      ['U+0000 is hashed', "if (text.includes('\\u0000'))", 'if (false)'],
      [
        'a number out of range is hashed',
        'if (!Number.isSafeInteger(value) || value < 0 || Object.is(value, -0)) {',
        'if (false) {',
      ],
      ['fields run into each other', 'parts.push(lengthPrefix(bytes.length), bytes);', 'parts.push(bytes);'],
    ],
  ),
  ...inFile('src/pairing/protocol/code.ts', { rule: CODE, test: codes }, [
    [
      'a code may be longer',
      'if (typed.length !== PIN_CODE_ID_LENGTH + PIN_DIGITS) {',
      'if (typed.length < PIN_CODE_ID_LENGTH + PIN_DIGITS) {',
    ],
    ['a PIN may hold letters', 'if (!/^[0-9]{6}$/.test(pin)) {', 'if (false) {'],
    ['a code id has several spellings', "  if (!isCrockford(codeId, 'upper')) return undefined;\n", ''],
    ['small PINs are likelier', 'if (value < PIN_DRAW_LIMIT) return', 'if (true) return'],
  ]),
  ...inFile('src/pairing/protocol/link.ts', { rule: CODE, test: codes }, [
    [
      'a link of another version is read',
      'if (version !== undefined && unescapeOnce(version) !== LINK_VERSION) {',
      'if (false) {',
    ],
    [
      'a link with something unknown in it is read',
      'if (!isParameter(name) || value === undefined) {',
      'if (!isParameter(name)) continue;\n    if (value === undefined) {',
    ],
    [
      'the second of two equal parameters counts',
      "    if (found.has(name)) throw incomplete('LINK_PARAMETER_TWICE', `the link holds ${name} twice`);\n",
      '',
    ],
    ['a stray % is let pass', 'if (/%(?![0-9A-Fa-f]{2})/.test(value)) {', 'if (false) {'],
    [
      'the endpoint of a link may be anything',
      "  if (!isEndpoint(value)) throw incomplete('LINK_ENDPOINT', 'the endpoint of the link is not host:port');\n",
      '',
    ],
    [
      'the code id of a link may have any length',
      'if (codeId?.length !== LINK_CODE_ID_LENGTH) {',
      'if (codeId === undefined) {',
    ],
  ]),
  ...inFile('src/pairing/protocol/endpoint.ts', { rule: CODE, test: codes }, [
    ['a port over 65535 is taken', ' && Number(port) <= 65_535', ''],
    ['an address with a zone is taken', " && !address.includes('%')", ''],
    ['a name may be an address in disguise', ' && !/^(?:[0-9]+|0x[0-9a-f]*)$/i.test(last)', ''],
  ]),
  ...inFile('src/identity/device-id.ts', { rule: HELLO, test: 'src/identity/device-id.spec.ts' }, [
    [
      'a device id may be more than 128 bits',
      'return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text);',
      'return /^[0-9A-HJKMNP-TV-Z]{26}$/.test(text);',
    ],
    [
      'a device id has two spellings',
      'return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text);',
      'return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i.test(text);',
    ],
  ]),
];

const forms = [
  ...inFile('src/identity/ed25519.ts', { rule: HELLO, test: ed25519 }, [
    [
      'a key of small order is an identity',
      'raw.length === IDENTITY_KEY_BYTES && !hasSmallOrder(raw) && isBelowPrime(raw);',
      'raw.length === IDENTITY_KEY_BYTES && isBelowPrime(raw);',
    ],
    [
      'a key of small order is not known again with its sign bit set',
      '  y[31] = (y[31] ?? 0) & 0x7f;\n  return SMALL_ORDER_Y',
      '  return SMALL_ORDER_Y',
    ],
    [
      'a key that is no point is an identity',
      '    ed25519.Point.fromBytes(Uint8Array.from(raw), false);\n',
      '',
    ],
    [
      'a signature under a key of small order holds',
      'identityKey.length === IDENTITY_KEY_BYTES && !hasSmallOrder(identityKey);',
      'identityKey.length === IDENTITY_KEY_BYTES;',
    ],
    [
      'every identity signature holds',
      'return isUsable(identityKey) && verify(null, message, importIdentityKey(identityKey), signature);',
      'return true;',
    ],
  ]),
  ...inFile('src/pairing/protocol/messages.ts', { rule: HELLO, test: messages }, [
    ['another version is taken', 'check(input.version === PAIRING_VERSION, ', 'check(true, '],
    ['another suite is taken', 'check(input.suite === PAIRING_SUITE, ', 'check(true, '],
    ['a code id of any form is taken', '    kind !== undefined,\n', '    true,\n'],
    ['a device id of any form is taken', 'check(isDeviceId(input.deviceId), ', 'check(true, '],
    ['a client kind that does not exist is taken', 'if (!isClientKind(clientKind))', 'if (false)'],
    ['a platform of any size is taken', 'check(isPlatform(platform), ', 'check(true, '],
    ['an identity key of any form is taken', '    isIdentityKey(input.identityKey),\n', '    true,\n'],
    [
      'a request hash of any size is taken',
      'check(input.csrHash.length === CSR_HASH_BYTES, ',
      'check(true, ',
    ],
    ['a shareP that is no point is taken', '  checkShare(input.shareP);\n', ''],
    ['a trust domain of any form is believed', '    isTrustDomain(input.trustDomain),\n', '    true,\n'],
    ['endpoints of any form are believed', 'check(endpoints.every(isEndpoint), ', 'check(true, '],
    [
      'a welcome without roots is believed',
      '    roots.length > 0 && roots.every((root) => root.length > 0),\n',
      '    true,\n',
    ],
    ['a shareV that is no point is taken', '  checkShare(input.shareV);\n', ''],
    ['a confirmation of any size is taken', '    length === CONFIRMATION_BYTES,\n', '    true,\n'],
    [
      'numbers that JavaScript cannot hold are rounded',
      'check(Number.isSafeInteger(number) && number >= 0, reason,',
      'check(true, reason,',
    ],
  ]),
];

const exchange = [
  ...inFile('src/spake2plus/p256.ts', { rule: SPAKE2PLUS, test: p256 }, [
    [
      'compressed and hybrid points are read',
      'if (bytes.length !== POINT_BYTES || bytes[0] !== 4) throw new InvalidPointError();',
      'if (bytes.length !== POINT_BYTES) throw new InvalidPointError();',
      { test: handshake, only: 'share' },
    ],
    [
      'a point off the curve is read',
      '      ECDH.convertKey(bytes, CURVE);\n',
      '',
      { test: handshake, only: 'share' },
    ],
    [
      'a scalar may be out of range',
      'return value >= 1n && value <= GROUP_ORDER - 2n;',
      'return value >= 0n && value < 1n << 256n;',
    ],
  ]),
  ...inFile(
    'src/spake2plus/key-schedule.ts',
    { rule: SPAKE2PLUS, test: spake2plus },
    [
      'identities.context',
      'identities.prover',
      'identities.verifier',
      'elements.shareP',
      'elements.shareV',
      'elements.Z.encode()',
      'elements.V.encode()',
      'elements.w0',
    ].map((field) => [`TT leaves out ${field}`, `    ${field},\n`, '']),
  ),
  ...inFile('src/spake2plus/prover.ts', { rule: SPAKE2PLUS, test: handshake }, [
    [
      'the device does not check confirmV',
      'if (!equalInConstantTime(keys.confirmV, confirmV)) {',
      'if (false) {',
    ],
  ]),
  ...inFile(
    'src/spake2plus/verifier.ts',
    { rule: 'PROTOCOL, Pairing: order of checks', test: handshake, only: 'share' },
    [
      [
        'a share that makes Z infinite is not a wrong proof',
        'degenerate: unblinded === undefined',
        'degenerate: false',
      ],
    ],
  ),
  ...inFile(
    'src/pairing/protocol/transcript.ts',
    { rule: TRANSCRIPT, test: handshake, only: 'gives each message and T' },
    [
      'LABEL',
      'hello.version',
      'hello.suite',
      'hello.codeId',
      'hello.deviceId',
      'hello.clientKind',
      'hello.platform',
      'hello.identityKey',
      'hello.csrHash',
      'hello.shareP',
      'welcome.trustDomain',
      'welcome.grpcEndpoints',
      'welcome.quicEndpoints',
      'welcome.epoch',
      'welcome.sequence',
      'welcome.roots',
      'welcome.shareV',
    ].map((field) => [`T leaves out ${field}`, `    ${field},\n`, '']),
  ),
  ...inFile(
    'src/pairing/protocol/transcript.ts',
    { rule: TRANSCRIPT, test: handshake, only: 'binds T|gives each' },
    [
      ['TT does not bind T', '    context: transcript,\n', '    context: Buffer.alloc(0),\n'],
      ['TT does not bind the device id', "Buffer.from(deviceId, 'ascii')", 'Buffer.alloc(0)'],
      [
        'the identity key signs no handshake',
        'return enc(IDENTITY_LABEL, transcript);',
        'return enc(IDENTITY_LABEL);',
      ],
      [
        'the identity signature has no label of its own',
        'return enc(IDENTITY_LABEL, transcript);',
        'return enc(LABEL, transcript);',
      ],
    ],
  ),
  ...inFile(
    'src/pairing/protocol/password.ts',
    { rule: 'PROTOCOL, Pairing: Password', test: handshake, only: 'derives' },
    [
      ['a guess is cheaper', 'N: 2 ** 15, r: 8', 'N: 2 ** 12, r: 8'],
      [
        'one table of guesses fits all codes',
        "Buffer.from(SALT_LABEL + code.codeId, 'ascii')",
        "Buffer.from(SALT_LABEL, 'ascii')",
      ],
    ],
  ),
  ...inFile('src/pairing/protocol/server-handshake.ts', { rule: PROOF, test: handshake }, [
    [
      'confirmP is not checked',
      "      if (!confirms(keys, proof.confirmP)) return { kind: 'wrong_proof' };\n",
      '',
    ],
    [
      'confirmP of a share that makes Z infinite is believed',
      'return equal && !keys.degenerate;',
      'return equal;',
    ],
    [
      'a proof may bring another request than hello promised',
      'if (!sha256(proof.csr).equals(hello.csrHash)) {',
      'if (false) {',
    ],
    [
      'the identity key need not sign',
      '        !verifyIdentitySignature(hello.identityKey, identityStatement(transcript), proof.identitySignature)\n',
      '        false\n',
    ],
    [
      'a handshake takes several proofs',
      '    } finally {\n      this.discard();\n    }',
      '    } finally {\n      // Nothing is forgotten.\n    }',
    ],
  ]),
  ...inFile('src/pairing/protocol/device-handshake.ts', { rule: CODE, test: handshake }, [
    [
      'a link’s CA is not looked for among the confirmed roots',
      '    if (this.start.ca !== undefined && !holdsPinnedKey(welcome.roots, this.start.ca)) throw otherCa();\n',
      '',
    ],
    [
      'a handshake takes several welcomes',
      "    if (this.#over) throw new Error('the handshake is over: it takes one welcome');\n",
      '',
    ],
  ]),
  ...inFile('src/pairing/protocol/root-pin.ts', { rule: CODE, test: handshake }, [
    ['any root has the pinned key', 'return certificateKeyHash(der).equals(pin);', 'return true;'],
  ]),
];

const tries = [
  ...inFile('src/pairing/tries.ts', { rule: TRIES, test: live, only: 'wrong PIN' }, [
    ['a PIN has a fourth try', 'export const TRIES_PER_PIN = 3;', 'export const TRIES_PER_PIN = 4;'],
    ['tries are not limited', 'return tries <= TRIES_PER_PIN;', 'return true;'],
    ['tries are not counted', 'const tries = (before?.tries ?? 0) + 1;', 'const tries = before?.tries ?? 0;'],
  ]),
  ...inFile('src/pairing/pairing-server.ts', { rule: TRIES, test: 'test/pairing/pairing-oracle.spec.ts' }, [
    [
      'a spent code costs less than a live one',
      'const row = await tables.findOneBy(PairingCodeRow, { codeId });\n    const live',
      'const row = mayTry ? await tables.findOneBy(PairingCodeRow, { codeId }) : null;\n    const live',
    ],
  ]),
  ...inFile('src/pairing/pairing-server.ts', { rule: TRIES, test: live }, [
    [
      'a try is looked at before it is counted',
      '(await this.parts.unitOfWork.run((unit) => spendTry(unit, codeId, now)));',
      `(await (async () => {
        const { triesLeft } = await import('./tries.js');
        const left = await triesLeft(this.parts.committed.tables, codeId);
        await this.parts.unitOfWork.run((unit) => spendTry(unit, codeId, now));
        return left > 0;
      })());`,
      { only: 'wrong PIN' },
    ],
    [
      'tries are counted for codes that exist only',
      "codeKindOf(codeId) === 'link' ||",
      "codeKindOf(codeId) === 'link' ||\n      !(await this.parts.committed.tables.existsBy(PairingCodeRow, { codeId })) ||",
      { only: 'codes that do not live' },
    ],
    ['strangers can end a link', "codeKindOf(codeId) === 'link' ||", '', { only: 'costs a link nothing' }],
    [
      'there is no decoy',
      'return this.decoy(live ? undefined : sealed);',
      'throw pairingRefused();',
      { only: 'wrong PIN|codes that do not live' },
    ],
    [
      'a row decides how long a code lives',
      'if (record.expiresAt > now) return record.verifier;',
      'return record.verifier;',
      { rule: 'DESIGN §4', only: 'codes that do not live' },
    ],
    [
      'a code that expired while the handshake was on its way is used',
      '  if (record.expiresAt <= now) throw pairingRefused();\n',
      '',
      { only: 'codes that do not live' },
    ],
    [
      'a code pairs several devices',
      '  if (usesLeft === 0) await endCode(unit, codeId);\n  else await',
      '  await',
      { only: 'codes that do not live' },
    ],
    [
      'a code has more uses than it was minted for',
      'const usesLeft = record.usesLeft - 1;',
      'const usesLeft = record.usesLeft > 1 ? record.usesLeft : 0;',
      { test: policies, only: 'as many devices' },
    ],
    [
      'a code is for any device',
      '  if (!isFor(record.policy, hello)) {',
      '  if (false) {',
      { test: policies, only: 'is not for a device' },
    ],
    [
      'starts are not limited',
      'const release = this.parts.limits.begin(source);',
      'const release = (): void => undefined;',
      { rule: LIMITS, only: 'limits' },
    ],
    ['a slot is not given back', '    this.release();\n', '', { rule: LIMITS, only: 'limits' }],
  ]),
  ...inFile('src/pairing/code-policy.ts', { rule: TRIES, test: 'src/pairing/code-policy.spec.ts' }, [
    [
      'six digits let several devices in, or any without a person',
      "if (kind === 'pin' && (policy.preApproved || policy.uses > 1)) {",
      'if (false) {',
    ],
    ['a pattern need match only the beginning', '  return of === pattern.length;\n', '  return true;\n'],
  ]),
  ...inFile('src/pairing/pairing-codes.ts', { rule: 'PROTOCOL, Pairing: Mint', test: live }, [
    [
      'a new code inherits the tries of a dead one',
      '  if (await unit.tables.existsBy(PairingTryRow, { codeId })) return false;\n',
      '',
      { only: 'an operator' },
    ],
    [
      'a code is approved beforehand where another operator has to approve',
      'if (policy.preApproved && this.parts.separateApprover === true) throw preApprovalOff();',
      '',
      { rule: TRIES, test: policies, only: 'approved beforehand' },
    ],
    [
      'a code may live for ever',
      'if (life >= least && life <= most) return life;',
      'return life;',
      { rule: TRIES, only: 'an operator' },
    ],
  ]),
  ...inFile('src/pairing/pair-conversation.ts', { rule: 'DESIGN §5, Handshake', test: conversation }, [
    [
      'a receipt is given for a proof without hello',
      "this.#step === 'proof' && message?.$case === 'proof'",
      "message?.$case === 'proof'",
    ],
    [
      'one call takes many guesses',
      "this.#step === 'hello' && message?.$case === 'hello'",
      "message?.$case === 'hello'",
    ],
    ['a handshake takes for ever', '    }, HANDSHAKE_TIMEOUT_MS);\n', '    }, 2 ** 31 - 1);\n'],
    ['the keys of a call that ended stay', '    this.#session?.end();\n', ''],
    [
      'the keys of a call that ended early stay',
      '    if (this.isOver()) {\n      session.end();\n',
      '    if (this.isOver()) {\n',
    ],
  ]),
  ...inFile('src/pairing/start-limits.ts', { rule: LIMITS, test: startLimits }, [
    [
      'handshakes are not bounded',
      'if (this.#inProgress >= this.limits.handshakes) throw',
      'if (false) throw',
    ],
    ['starts of all are not bounded', 'if (this.#total.tokens < 1) throw', 'if (false) throw'],
    ['starts of an address are not bounded', 'if (mine.tokens < 1) throw', 'if (false) throw'],
    ['a slot is given back twice', '      if (!held) return;\n', ''],
    ['one host has 2^64 addresses', 'this.bucketOf(sourceOf(address), now)', 'this.bucketOf(address, now)'],
  ]),
];

/** What is broken for `Pair`, in the order in which a pairing goes. */
export const pairing = [...codeForms, ...forms, ...exchange, ...tries];

import { inFile } from '../mutation.mjs';

const WHO = 'DESIGN §1, Who is calling; PROTOCOL, Who may call what';
const TOKEN = 'PROTOCOL, Operator token';
const TLS = 'DESIGN §1: TLS 1.3; PROTOCOL, Operator token';
const BOUNDS = 'DESIGN §1: bounds';
const SECRETS = 'DESIGN §9.1';

const callers = 'test/grpc/callers.spec.ts';
const places = 'src/grpc/connection-places.spec.ts';
const bounds = 'test/grpc/bounds.spec.ts';
const door = 'test/grpc/door.spec.ts';
const policy = 'test/grpc/policy.spec.ts';
const token = 'src/operators/token.spec.ts';
const operators = 'test/operators/operators.spec.ts';
const redaction = 'src/observability/redaction.spec.ts';
const metricsToken = 'src/observability/metrics-token.spec.ts';

/** Who calls over gRPC and HTTP, what TLS they do it over, and what they are not told. */
export const grpcAndHttp = [
  ...inFile('src/grpc/caller-of-call.ts', { rule: WHO, test: callers }, [
    [
      'a token that does not verify makes a nobody',
      '  if (operator === undefined) {\n    throw credentialsInvalid();\n  }\n',
      "  if (operator === undefined) return { kind: 'nobody', source } as never;\n",
    ],
    [
      'the first of two credentials counts',
      '  if (headers.length > 1) {',
      '  if (false) {',
      { only: 'two authorization' },
    ],
    [
      'a malformed credential makes a nobody',
      '  if (token === undefined) {\n    throw credentialsInvalid();\n  }\n',
      '',
      { only: 'authorization header' },
    ],
  ]),
  ...inFile('src/grpc/http2-server.ts', { rule: WHO, test: callers, only: 'two authorization' }, [
    ['Node hides the second credential', "    server.prependListener('stream', restoreCredentials);\n", ''],
  ]),
  ...inFile('src/grpc/caller.guard.ts', { rule: WHO, test: callers }, [
    [
      'operators’ calls need no credential',
      "  if (caller.kind === 'nobody') {\n    throw new DomainError(",
      "  if (caller.kind === 'nobody') {\n    return;\n    throw new DomainError(",
    ],
    ['roles do not matter', '  requireRole(caller.role, policy.role);\n', ''],
    ['the guard lets every gRPC call through', '      authorize(call.getPath(), callerOf(call));\n', ''],
    [
      'devices call what has no row for them',
      "if (CALL_POLICY.get(method)?.caller !== 'device') {",
      'if (false) {',
      { test: policy },
    ],
    [
      'an RPC without a row is open',
      "  if (policy === undefined || policy.caller === 'device') {\n    throw notCallable(path);\n  }\n",
      "  if (policy === undefined || policy.caller === 'device') return;\n",
      { test: policy },
    ],
    [
      'what the guard does not know it lets through',
      '    return false;\n  }\n}',
      '    return true;\n  }\n}',
      { test: policy },
    ],
  ]),
  ...inFile('src/operators/caller.ts', { rule: WHO, test: policy }, [
    [
      'a viewer may do everything',
      'return OPERATOR_ROLES.indexOf(role) >= OPERATOR_ROLES.indexOf(needed);',
      'return true;',
    ],
  ]),
  ...inFile(
    'src/grpc/call-policy.ts',
    { rule: WHO, test: policy },
    [
      ['ApproveNodePairingRequest', '{ ...approver,', '{ ...nobody,'],
      ['RevokeDevice', 'approver,', 'nobody,'],
      ['CreatePairingCode', '{ ...approver,', '{ ...nobody,'],
      ['ClearDevice', 'admin,', 'nobody,'],
      ['ListDevices', 'viewer,', 'nobody,'],
    ].map(([rpc, row, open]) => [`${rpc} asks for no role`, `  ${rpc}: ${row}`, `  ${rpc}: ${open}`]),
  ),
  ...inFile('src/grpc/policy-check.ts', { rule: WHO, test: door, only: 'the start' }, [
    [
      'the service starts with an RPC that has no row',
      "    ...missing(served, [...doors.policy.keys()], 'has no row in the table of callers'),\n",
      '',
    ],
    [
      'the service starts with an RPC that has no handler',
      "    ...missing(doors.grpcMethods, doors.grpcHandlers, 'has no handler'),\n",
      '',
    ],
    ['a device’s method may stand on the wrong door', '    ...misplaced(doors),\n', '', { test: policy }],
  ]),
  ...inFile('src/operators/token.ts', { rule: TOKEN, test: token }, [
    [
      'any secret is right',
      'return hash.length === storedHash.length && timingSafeEqual(hash, storedHash);',
      'return true;',
      { test: operators },
    ],
    [
      'the stored hash may be cut',
      'return hash.length === storedHash.length && timingSafeEqual(hash, storedHash);',
      'return hash.subarray(0, storedHash.length).equals(storedHash);',
    ],
    ['a token may have more parts', ' || more.length > 0', ''],
    [
      'a token id of any form is looked up',
      "if (tokenId.length !== TOKEN_ID_LENGTH || !isCrockford(tokenId, 'lower')) {",
      'if (false) {',
    ],
  ]),
  ...inFile('src/operators/operator-register.ts', { rule: TOKEN, test: operators }, [
    [
      'a wrong secret authenticates',
      'return right && record !== undefined ?',
      'return record !== undefined ?',
    ],
    ['every operator is an admin', 'role: record.role }', "role: 'admin' }"],
  ]),
  ...inFile('src/operators/first-admin.ts', { rule: 'DESIGN §10: admin-token', test: operators }, [
    ['each start makes another admin', '  if (await hasOperators(parts.committed.secrets)) return;\n', ''],
    [
      'the operator is there before the token is',
      "  await replaceFile(join(parts.dataDir, ADMIN_TOKEN_FILE), Buffer.from(`${admin.tokenText}\\n`, 'ascii'));\n  await parts.unitOfWork.run((unit) => admin.record(unit));\n",
      "  await parts.unitOfWork.run((unit) => admin.record(unit));\n  await replaceFile(join(parts.dataDir, ADMIN_TOKEN_FILE), Buffer.from(`${admin.tokenText}\\n`, 'ascii'));\n",
    ],
  ]),
  ...inFile('src/secret-store/atomic-file.ts', { rule: 'DESIGN §4: file permissions', test: operators }, [
    [
      'the first token is readable for all',
      "const handle = await open(temporary, 'wx', 0o600);",
      "const handle = await open(temporary, 'wx', 0o644);",
    ],
  ]),
  ...inFile('src/grpc/server-credentials.ts', { rule: TLS, test: door, only: '1.3 only' }, [
    [
      'TLS 1.2 is spoken',
      "    minVersion: 'TLSv1.3',\n    maxVersion: 'TLSv1.3',\n",
      "    minVersion: 'TLSv1.2',\n",
    ],
    ['session tickets are given out', '    secureOptions: constants.SSL_OP_NO_TICKET,\n', ''],
    [
      'a renewed certificate drops the options of the first',
      'this.updateSecureContextOptions(contextOptions(material));',
      'this.updateSecureContextOptions({ cert: material.chain, key: material.key });',
    ],
    [
      'a renewed certificate is not served',
      'this.updateSecureContextOptions(contextOptions(material));',
      'void material;',
    ],
  ]),
  ...inFile('src/grpc/message-rules.ts', { rule: BOUNDS, test: door, only: 'requests' }, [
    ['a request of any size is read', 'if (bytes.length > limit) {', 'if (false) {'],
  ]),
  ...inFile('src/grpc/grpc-server.ts', { rule: BOUNDS, test: door, only: 'requests' }, [
    [
      'strangers may send as much as operators',
      '      : MAX_STRANGER_REQUEST;',
      '      : this.door.settings.maxMessage;',
    ],
    [
      'a connection may have any number of streams',
      "      'grpc.max_concurrent_streams': settings.maxStreams,\n",
      '',
      { test: bounds, only: '32 streams' },
    ],
    [
      'the table of callers is not compared at start',
      '    this.check();\n',
      '',
      { rule: WHO, only: 'the start' },
    ],
    [
      'nobody asks who calls',
      '        identifyCallers(operators, failures, (peer, proof) => {\n          this.#gate.prove(peer, proof);\n        }),\n',
      '',
      { rule: WHO, test: callers, only: 'does not verify' },
    ],
  ]),
  ...inFile('src/grpc/call-interceptors.ts', { rule: BOUNDS, test: door, only: 'requests' }, [
    [
      'a request may take for ever',
      "      call.sendStatus(toStatus(new DomainError('timeout', 'REQUEST_TIMEOUT', text)));\n",
      '      void text;\n',
    ],
  ]),
  ...inFile('src/grpc/connection-places.ts', { rule: BOUNDS, test: places }, [
    [
      'connections are not bounded',
      "return this.#holders.size >= this.limits.maxConnections ? 'total' : undefined;",
      'return undefined;',
    ],
    [
      'one address may take every connection',
      "    if (open >= this.limits.maxConnectionsPerAddress) return 'address';\n",
      '',
    ],
    ['a place is not given back', '    source.open -= 1;\n', ''],
    [
      'devices fill the places that are kept for operators',
      '      this.#devices < withoutReserve(maxConnections) &&\n',
      '',
    ],
    [
      'devices of an address fill the places that are kept for its operators',
      '      source.devices < withoutReserve(maxConnectionsPerAddress) &&\n',
      '',
    ],
    [
      'one device keeps any number of places',
      '(this.#keptByDevice.get(deviceId) ?? 0) < KEPT_BY_ONE_DEVICE',
      'true',
    ],
    [
      'an operator loses its place to a stranger',
      '    holder.source.strangers.delete(connection);\n',
      '',
      { only: 'have shown themselves' },
    ],
    [
      'a flood takes the place of others',
      'if (source.strangers.size > (most?.strangers.size ?? 0)) most = source;',
      'most ??= source;',
    ],
  ]),
  ...inFile('src/grpc/connection-gate.ts', { rule: BOUNDS, test: door, only: 'by address' }, [
    ['an evicted connection goes on', '      admission.evicted.connection.destroy();\n', ''],
    ['a place is not given back', '      this.#places.leave(socket);\n', ''],
  ]),
  ...inFile('src/grpc/call-interceptors.ts', { rule: BOUNDS, test: door, only: 'by address' }, [
    [
      'a token gives no hold on a place',
      "            if (caller.kind === 'operator') prove(peer, { kind: 'operator' });\n",
      '',
    ],
  ]),
  ...inFile('src/grpc/status.ts', { rule: SECRETS, test: door, only: 'nobody foresaw' }, [
    [
      'callers are told of what nobody foresaw',
      "  return error instanceof DomainError && error.kind !== 'internal'\n    ? error\n",
      "  return error instanceof Error\n    ? new DomainError('internal', 'INTERNAL', error.message)\n",
    ],
  ]),
  ...inFile('src/observability/redaction.ts', { rule: SECRETS, test: redaction }, [
    ['tokens are logged', '  [/palyra1_[0-9a-z]+_[0-9a-z]+(?:_[0-9a-z]+)?/gi, `palyra1_${REDACTED}`],\n', ''],
    ['links are logged', '  [/palyra:\\/\\/pair[^\\s"\'\\\\]*/gi, `palyra://pair${REDACTED}`],\n', ''],
    ['PIN codes are logged', '  [/\\b[0-9A-TV-Z]{4}-\\d{6}\\b/gi, REDACTED],\n', ''],
    ['bearer credentials are logged', '  [/bearer [A-Za-z0-9._~+/=-]+/gi, `Bearer ${REDACTED}`],\n', ''],
    [
      'private keys are logged',
      '  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\\s\\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, REDACTED],\n',
      '',
    ],
    ['the fields of secrets are logged', 'SECRET_KEYS.has(key) ? REDACTED : ', ''],
    [
      'errors are logged as they are',
      'censored(stdSerializers.errWithCause(value), levels)',
      'stdSerializers.errWithCause(value)',
    ],
  ]),
  ...inFile(
    'src/observability/line-allowance.ts',
    { rule: BOUNDS, test: 'src/observability/quic-log.spec.ts' },
    [
      [
        'a device that comes and goes fills the log',
        '    return lines <= this.perMinute;',
        '    return true;',
      ],
    ],
  ),
  ...inFile(
    'src/observability/http-door.ts',
    { rule: BOUNDS, test: 'test/observability/http-door.spec.ts' },
    [['an address that cannot be read is said again, without headers', '    frameworkErrors: refuse,\n', '']],
  ),
  ...inFile('src/observability/logger.ts', { rule: SECRETS, test: redaction }, [
    ['lines go out as they are', 'const redacted = redactText(line);', 'const redacted = line;'],
  ]),
  ...inFile('src/observability/metrics-token.ts', { rule: 'DESIGN §1: metrics token', test: metricsToken }, [
    ['any token reads the metrics', 'if (!timingSafeEqual(sha256(shown), this.#hash)) {', 'if (false) {'],
    [
      'a metrics token may be short',
      'if (token.length < LEAST_CHARACTERS || /\\s/.test(token)) {',
      'if (false) {',
    ],
  ]),
];

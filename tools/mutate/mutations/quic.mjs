import { inFile } from '../mutation.mjs';

const ADMISSION = 'DESIGN §6';
const DRAIN = 'PROTOCOL "QUIC", close code 7';
const ORDER = 'DESIGN §6: list entry before the read, no stream before admission';
const BOUNDS = 'DESIGN §6: both bounds';
const RETRY = 'DESIGN §6: addresses are validated by Retry; RFC 9000 §8.1.2';
const WIRE = 'DESIGN §6, Wire format';
const TICKETS = 'DESIGN §6: session tickets and early data are off';

const rule = 'src/quic/admission.spec.ts';
const door = 'test/quic/admission.spec.ts';
const boundsOfDoor = 'test/quic/bounds.spec.ts';
const framing = 'test/quic/framing.spec.ts';
const matrix = 'test/quic/admission-matrix.spec.ts';
const memory = 'test/quic/memory.spec.ts';
const tickets = 'test/quic/ticket-key.spec.ts';
const lifecycle = 'test/quic/lifecycle.spec.ts';
const counting = 'src/quic/connection-bounds.spec.ts';
const frames = 'src/quic/frame-codec.spec.ts';
const requests = 'src/quic/node-rpc-message.spec.ts';
const tokens = 'src/quic/retry-token.spec.ts';
const headers = 'src/quic/packet-header.spec.ts';

/** Who is let in over QUIC, how many, and what they may send. */
export const quic = [
  ...inFile('src/quic/node-rpc-streams.ts', { rule: DRAIN, test: lifecycle, only: 'before it closes' }, [
    [
      'calls in flight are cut off',
      'return [...this.#streams.values()].some((stream) => stream.isCallInFlight);',
      'return false;',
    ],
    ['a door that closes takes calls', 'if (this.#isDraining && known?.isReading !== false) return;', ''],
  ]),
  ...inFile('src/quic/node-rpc-stream.ts', { rule: DRAIN, test: lifecycle, only: 'before it closes' }, [
    ['a stream of events holds up the end', 'this.#isOpenEnded = STREAMING_METHODS.has(request.method);', ''],
  ]),
  ...inFile('src/quic/admission.ts', { rule: ADMISSION, test: rule }, [
    [
      'a chain that does not hold is admitted',
      "  if (!verdict.ok) return refused('chain', verdict.reason);\n",
      '',
    ],
    [
      'the identity of another device admits',
      'if (identity === undefined || identity.deviceId !== verdict.deviceId) {',
      'if (identity === undefined) {',
    ],
    [
      'a suspended device is admitted',
      "  if (identity.suspendedAt !== null) return refused('suspended', 'the device is suspended');\n",
      '',
    ],
    [
      'any certificate of the CA is admitted',
      'const until = admittedUntil(identity, verdict.fingerprint, overlapMs);',
      'const until = Number.POSITIVE_INFINITY;',
    ],
    [
      'the record decides alone when a certificate expires',
      'Math.min(verdict.notAfter, certificateExpiry(identity, verdict.fingerprint))',
      'certificateExpiry(identity, verdict.fingerprint)',
    ],
    ['an expired certificate is admitted', 'if (endsAt <= now) {', 'if (false) {'],
    [
      'a connection outlives the overlap',
      'const endsAt = Math.min(until, expiresAt);',
      'const endsAt = expiresAt;',
    ],
  ]),
  ...inFile('src/quic/node-connection.ts', { rule: ADMISSION, test: door, only: 'closes what only a root' }, [
    [
      'a connection is not judged anew when a root is taken out',
      "verdict.ok || verdict.reason !== 'untrusted') return false;",
      "verdict.ok || verdict.reason === 'untrusted') return false;",
    ],
    [
      'a root that is taken out ends what others let in',
      "if (this.connection.hasEnded || verdict.ok || verdict.reason !== 'untrusted') return false;",
      'if (this.connection.hasEnded) return false;',
    ],
  ]),
  ...inFile('src/quic/node-connection.ts', { rule: ORDER, test: door }, [
    [
      'streams are read before the connection is admitted',
      '    this.#streams?.turn();\n',
      `    this.#streams ??= new NodeRpcStreams({
      connection: this.connection,
      device: { deviceId: '', fingerprint: '', remote: this.remote },
      settings: this.context.settings,
      handler: this.context.handler,
      monotonic: () => clock.monotonic(),
      onFailure: () => undefined,
    });
    if (this.connection.isEstablished) this.#streams.turn();
`,
      { only: 'reads no stream' },
    ],
    [
      'the connection is not in its device’s list while the identity is read',
      '    this.#leaveDevice = this.context.devices.enter(verdict.deviceId, this);\n    this.#decide(verdict)',
      '    this.#decide(verdict).then(() => {\n      this.#leaveDevice = this.context.devices.enter(verdict.deviceId, this);\n    })',
      { only: 'while admission waits' },
    ],
    [
      'a connection that was ended meanwhile is admitted',
      "    if (this.#state !== 'deciding') return;\n    const { clock, settings }",
      '    const { clock, settings }',
      { only: 'while admission waits' },
    ],
    [
      'a registry that cannot be read admits',
      "      this.#refuse('identity_unreadable', 'the device record could not be read', error);\n",
      "      void error;\n      this.#admit({ admitted: true, deviceId: verdict.deviceId, fingerprint: verdict.fingerprint, endsAt: Infinity, endReason: 'expired', currentFingerprint: '', first: false });\n",
      { rule: 'DESIGN §6: no database, no admission', only: 'cannot be read' },
    ],
    [
      'a connection outlives its certificate',
      '    this.endBy(decision.endsAt, decision.endReason);\n',
      '',
      { rule: ADMISSION, only: 'ends a connection with its certificate' },
    ],
    [
      'the bound is not looked at again at admission',
      '    if (!reservation.ok) {\n      this.#refuse(reservation.reason',
      '    if (!reservation.ok) {\n      return;\n      this.#refuse(reservation.reason',
      { rule: BOUNDS, test: boundsOfDoor, only: 'busy|again' },
    ],
    [
      'a handshake may take for ever',
      'if (this.#isWaiting() && this.#waitLeftMs() <= 0) {',
      'if (false) {',
      { rule: BOUNDS, test: boundsOfDoor, only: 'half-open' },
    ],
    [
      'the slot of a handshake is not given back',
      "    this.#state = 'ended';\n    this.handshakeSlot.release();\n",
      "    this.#state = 'ended';\n",
      { rule: BOUNDS, test: boundsOfDoor, only: 'half-open|aborted' },
    ],
    [
      'the place of a connection is not given back',
      '    this.#connectionSlot?.release();\n',
      '',
      { rule: BOUNDS, test: boundsOfDoor, only: '257' },
    ],
    [
      'the connection that the new certificate replaces stays open',
      '      devices.supersedeOthers(deviceId, fingerprint, overlapEnd);\n',
      '',
      { rule: 'DESIGN §7', only: 'overlap is over' },
    ],
  ]),
  ...inFile('src/quic/receive-budget.ts', { rule: 'DESIGN §9.6', test: 'src/quic/receive-budget.spec.ts' }, [
    [
      'a stranger fills the memory with CRYPTO data',
      "  if (!state.established) return traffic.received > HANDSHAKE_BYTES ? 'over' : 'within';\n",
      "  if (!state.established) return 'within';\n",
    ],
    [
      'a device that makes large requests fills the memory with CRYPTO data',
      'traffic.received - traffic.read - state.maxUnreadBytes;',
      'traffic.received - 2 * traffic.read - state.maxUnreadBytes;',
    ],
  ]),
  ...inFile('src/quic/quic-connection.ts', { rule: 'DESIGN §9.6', test: memory }, [
    [
      'V8 does not learn what ended connections held',
      '    carryBallast(this.#native, this.#traffic.received - this.#traffic.read);\n',
      '',
      { only: 'cuts it off' },
    ],
    [
      'an ended connection is held as long as packets may come late',
      '    else this.#letGo();\n',
      '    else this.#armTimer();\n',
      { only: 'keeps nothing of it' },
    ],
  ]),
  ...inFile('src/quic/node-connection.ts', { rule: 'DESIGN §9.6', test: memory }, [
    [
      'a device fills the memory with what no stream accounts for',
      "    if (budget === 'over') this.connection.close(false, TRANSPORT_BUFFER_EXCEEDED);\n",
      '    if (budget === "over") return processed;\n',
    ],
    [
      'a connection may bring what it likes for as long as it lives',
      "    else if (budget === 'spent' && !this.#isDraining) this.drain();\n",
      '',
      { only: 'begin anew' },
    ],
  ]),
  ...inFile('src/quic/device-connections.ts', { rule: ADMISSION, test: door }, [
    [
      'a revocation passes over connections that are being decided',
      'const connections = [...(this.#byDevice.get(deviceId) ?? [])];\n',
      'const connections = this.#admitted(deviceId);\n',
      { only: 'while admission waits' },
    ],
    [
      'a revoked device’s connections are not closed',
      '    for (const connection of connections) connection.end(reason);\n',
      '',
      { only: 'closes what a revoked' },
    ],
    [
      'a connection that no root leads to stays',
      'connection.endIfUntrusted()).length',
      'connection.isAdmitted).length',
      { only: 'closes what only a root' },
    ],
    [
      'a connection that is being decided outlives the root it was judged by',
      'return connections.filter((connection) => connection.endIfUntrusted()).length',
      'return connections.filter((connection) => connection.isAdmitted && connection.endIfUntrusted()).length',
      { test: 'src/quic/device-connections.spec.ts' },
    ],
  ]),
  ...inFile('src/quic/connection-bounds.ts', { rule: BOUNDS, test: counting }, [
    [
      'a full door spends TLS on strangers',
      "    if (this.#connections.isFull) return 'connections_full';\n    const source",
      '    const source',
    ],
    ['handshakes are not bounded', '    return this.#size >= this.total;', '    return false;'],
    [
      'a few addresses that stall keep everybody out',
      '    if (fullest.size > own + 1) return [...fullest];\n',
      '',
    ],
    [
      'a handshake that its peer has finished gives way',
      '    for (const { giveWay } of this.#leavableTo(key)) if (giveWay()) return true;\n',
      '    for (const { giveWay } of this.#leavableTo(key)) return giveWay();\n',
    ],
    [
      'as many addresses as there are places keep everybody out',
      '    return own === 0 ? this.#stalled() : [];',
      '    return [];',
    ],
    [
      'a handshake gives way before it had its time',
      'places.filter(({ since }) => since <= latest)',
      'places',
    ],
    [
      'one address may take every handshake',
      "    if (this.#handshakes.isFullFor(source)) return 'handshakes_of_source_full';\n",
      '',
    ],
    [
      'connections are not bounded',
      "    if (this.#connections.isFull) return { ok: false, reason: 'connections_full' };\n",
      '',
    ],
    [
      'one device may take every connection',
      "    if (this.#connections.isFullFor(deviceId)) return { ok: false, reason: 'connections_of_device_full' };\n",
      '',
    ],
    [
      'a place is given back twice',
      '        if (!places.delete(place)) return;\n',
      '        places.delete(place);\n',
    ],
  ]),
  ...inFile('src/network/network-address.ts', { rule: BOUNDS, test: 'src/network/network-address.spec.ts' }, [
    ['one host has 2^64 addresses', '.slice(0, 4)', '.slice(0, 8)'],
    ['an IPv4 address counts twice', 'return MAPPED_IPV4.exec(host)?.[1] ?? host;', 'return host;'],
  ]),
  ...inFile('src/quic/datagram-router.ts', { rule: RETRY, test: 'src/quic/datagram-router.spec.ts' }, [
    [
      'an address is believed without Retry',
      '    if (initial.token.length === 0) {\n',
      "    if (initial.token.length === 0) {\n      return { do: 'accept', id: initial.destinationId, originalDestinationId: initial.destinationId };\n",
    ],
    [
      'any token is taken',
      'if (!verdict.ok || initial.destinationId.length !== OUR_CONNECTION_ID_BYTES) {',
      'if (false) {',
    ],
    [
      'a full door does not turn anybody away',
      'if (refusal !== undefined) {',
      'if (false) {',
      { rule: BOUNDS },
    ],
    [
      'a door that closes takes new handshakes',
      "const refusal = accepting ? this.#parts.bounds.handshakeRefusal(from.host) : 'going_away';",
      'const refusal = this.#parts.bounds.handshakeRefusal(from.host);',
    ],
  ]),
  ...inFile('src/quic/quiche-config.ts', { rule: TICKETS, test: tickets }, [
    [
      'connections share a ticket key',
      '    this.#server?.setTicketKey(randomBytes(TICKET_KEY_BYTES));\n',
      '',
      { test: matrix, only: 'with a ticket the right one' },
    ],
    [
      'a ticket key lasts until the next connection begins',
      '    this.#server.setStatelessResetToken(resetToken);\n    return',
      '    this.#server.setStatelessResetToken(resetToken);\n    this.#server.setTicketKey(randomBytes(TICKET_KEY_BYTES));\n    this.forgetTickets = () => undefined;\n    return',
    ],
  ]),
  ...inFile('src/quic/quic-endpoint.ts', { rule: TICKETS, test: tickets, only: 'came between' }, [
    [
      'handshakes of before a new server certificate keep one ticket key',
      '          configs.forgetTickets();',
      '          this.#configs.forgetTickets();',
    ],
  ]),
  ...inFile(
    'src/quic/node-connection.ts',
    { rule: 'DESIGN §7: a stolen key dies', test: boundsOfDoor, only: 'newest certificate' },
    [
      [
        'an older certificate keeps the newest one out',
        '    return bounds.reserveConnection(deviceId);\n',
        '    return reservation;\n',
      ],
      [
        'an older certificate takes the place of the newest',
        'if (fingerprint !== currentFingerprint || !devices',
        'if (!devices',
      ],
    ],
  ),
  ...inFile('src/quic/node-connection.ts', { rule: TICKETS, test: matrix, only: 'could be resumed' }, [
    [
      'a resumed session stands for a certificate',
      '    if (this.connection.isResumed) {',
      '    if (false) {',
    ],
  ]),
  ...inFile('src/quic/retry-token.ts', { rule: RETRY, test: tokens }, [
    [
      'a token need not be ours',
      'if (!timingSafeEqual(this.#mac(body, binding), bytes.subarray(body.length))) {',
      'if (false) {',
    ],
    [
      'a token is good for ever',
      "    if (Math.abs(age) > this.lifetimeMs) return { ok: false, reason: 'token_expired' };\n",
      '',
    ],
    ['a token from the future is good', 'if (Math.abs(age) > this.lifetimeMs)', 'if (age > this.lifetimeMs)'],
    ['a token is good for every address', '      .update(address)\n', ''],
    ['a token is good for every connection id', '      .update(retrySourceId)\n', ''],
    ['the body of a token may be changed', '      .update(body)\n', ''],
    [
      'bytes may move from the connection id to the address',
      '      .update(Buffer.from([body.length, retrySourceId.length]))\n',
      '',
    ],
  ]),
  ...inFile('src/quic/packet-header.ts', { rule: 'RFC 9000 §14.1, §7.2; DESIGN §6', test: headers }, [
    [
      'early data is routed',
      "  if (type === LONG_TYPE.zero_rtt) return drop('zero_rtt');\n",
      '',
      { rule: TICKETS },
    ],
    [
      'a small Initial is answered',
      "  if (datagram.length < MIN_INITIAL_DATAGRAM_BYTES) return drop('small_initial');\n",
      '',
    ],
    [
      'a small datagram of another version is answered',
      "  if (datagram.length < MIN_INITIAL_DATAGRAM_BYTES) return drop('unknown_version');\n",
      '',
    ],
    [
      'an Initial may be sent to a guessable id',
      "  if (destinationId.length < MIN_INITIAL_DESTINATION_BYTES) return drop('short_destination');\n",
      '',
    ],
    [
      'a header may end before its fields',
      'if (this.offset + length > this.bytes.length) return undefined;',
      '',
    ],
  ]),
  ...inFile('src/quic/quiche-config.ts', { rule: ADMISSION, test: door }, [
    [
      'TLS asks for no certificate',
      'withBoringSslCtx(true, false, roots,',
      'withBoringSslCtx(false, false, roots,',
      { only: 'without a certificate|foreign' },
    ],
    [
      'streams are not bounded',
      'config.setInitialMaxStreamsBidi(this.transport.maxStreams);',
      'config.setInitialMaxStreamsBidi(10_000);',
      { rule: BOUNDS, test: framing, only: '33rd' },
    ],
  ]),
  ...inFile('src/quic/frame-codec.ts', { rule: WIRE, test: frames }, [
    [
      'a frame of any size is read',
      'if (this.#headerFilled === FRAME_HEADER_BYTES && this.#length > this.maxFrameBytes) {',
      'if (false) {',
    ],
    ['a frame of any size is sent', '  if (length > MAX_FRAME_BYTES) throw frameTooLarge(length);\n', ''],
    ['JSON may be nested without end', 'if (exceedsDepth(text, MAX_JSON_DEPTH)) {', 'if (false) {'],
    ['bytes that are no UTF-8 are read', 'fatal: true, ignoreBOM: true', 'fatal: false, ignoreBOM: true'],
    [
      'a frame may hold something else than an object',
      "  if (!isJsonObject(value)) throw malformed('NOT_AN_OBJECT', 'the frame must hold a JSON object');\n",
      '',
    ],
  ]),
  ...inFile('src/quic/node-rpc-message.ts', { rule: WIRE, test: requests }, [
    [
      'another version of the protocol is taken',
      "if (field(message, 'protocol_version') !== NODE_RPC_VERSION) {",
      'if (false) {',
    ],
    ['unknown fields are let pass', 'if (!REQUEST_FIELDS.has(name)) {', 'if (false) {'],
    ['a method name of any length is looked up', ' || method.length > MAX_METHOD_LENGTH', ''],
    [
      'params may be anything',
      "  if (!isJsonObject(value)) throw malformed('INVALID_PARAMS', 'params must be an object');\n",
      '',
    ],
  ]),
  ...inFile('src/quic/node-rpc-stream.ts', { rule: WIRE, test: framing }, [
    [
      'bytes may follow a request',
      '      if (bytes.length > 0) this.fail(bytesAfterRequest());\n',
      '',
      { only: 'bytes that come after' },
    ],
    [
      'a second request in the same bytes is swallowed',
      'if (next !== undefined || (body !== undefined && this.#decoder.inFrame)) throw bytesAfterRequest();',
      '',
      { only: 'refuses (bytes after|two frames)' },
    ],
    [
      'answers pile up for a device that does not read',
      'if (connection.queuedBytes(id) + frame.length > this.#owner.maxQueuedBytes) {',
      'if (false) {',
      { rule: BOUNDS, only: 'resets a stream' },
    ],
    [
      'a request may take for ever',
      "    if (this.#state === 'reading')\n      this.fail(",
      '    if (false)\n      this.fail(',
      { rule: BOUNDS, only: 'does not become complete' },
    ],
  ]),
  ...inFile('src/quic/node-rpc-streams.ts', { rule: BOUNDS, test: framing }, [
    [
      'incomplete requests are held without bound',
      'return declared >= this.parts.settings.maxUnreadBytes;',
      'return false;',
      { only: 'holds no more' },
    ],
  ]),
  ...inFile(
    'src/quic/quic-client.ts',
    { rule: 'DESIGN §3: clients verify the control-plane name', test: lifecycle, only: 'not believed' },
    [
      [
        'any server of the cluster is believed',
        'if (name === this.options.trustDomain) return undefined;',
        'return undefined;',
      ],
    ],
  ),
];

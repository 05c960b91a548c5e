import { inFile } from '../mutation.mjs';

const EVENTS = 'DESIGN §6, node.stream_events';
const streams = 'test/device-events/device-event-streams.spec.ts';
const service = 'test/service/device-events.spec.ts';
const transport = 'test/quic/nest-transport.spec.ts';

/** What a device is told of decisions about it, and about nobody else. */
export const deviceEvents = [
  ...inFile(
    'src/presence/presence.ts',
    { rule: 'DESIGN §6, presence', test: 'test/presence/presence.spec.ts' },
    [
      [
        'whoever was turned away was there',
        '!event.wasAdmitted ||',
        '',
        { only: 'was not let in was not there' },
      ],
      [
        'what could not be written is forgotten',
        'const gone = [...this.#gone];',
        'const gone = [...this.#gone];\n    this.#gone.clear();',
        { only: 'cannot be written' },
      ],
    ],
  ),
  ...inFile(
    'src/presence/registration.ts',
    { rule: 'DESIGN §6, node.register', test: 'src/presence/registration.spec.ts' },
    [
      [
        'a device may cause any number of commits',
        'if (wait > 0 && wait <= BETWEEN_CHANGES_MS) {',
        'if (false) {',
      ],
      ['a capability may be anything', 'MAX_CAPABILITIES, CAPABILITY)', 'MAX_CAPABILITIES, /^/)'],
    ],
  ),
  ...inFile('src/device-events/device-event-log.ts', { rule: EVENTS, test: streams }, [
    [
      'a device is told of the others',
      ".where('entry.subject = :subject', { subject: deviceRecordName(deviceId) })",
      ".where('entry.subject <> :subject', { subject: deviceRecordName('') })",
      { only: 'in order, whoever' },
    ],
  ]),
  ...inFile('src/device-events/device-event.ts', { rule: EVENTS, test: streams, only: 'nothing of a unit' }, [
    [
      'a device is told what only auditors may read',
      "return typeof certificate === 'string' ? { certificate } : {};",
      'return { certificate, ...JSON.parse(details) };',
    ],
  ]),
  ...inFile('src/device-events/device-event-stream.ts', { rule: EVENTS, test: streams }, [
    ['a slow reader is not waited for', 'await writable();', '', { only: 'holds one page' }],
    [
      'events that are gone are passed over',
      'if (after + 1 < oldest) {',
      'if (false) {',
      { only: 'have left the database' },
    ],
    [
      'a store that was set back is not noticed',
      'requireReached(after, sequence());',
      '',
      { only: 'ever reached' },
    ],
  ]),
  ...inFile(
    'src/identity/identity-manager.ts',
    { rule: EVENTS, test: service, only: 'announce the revocation' },
    [['a revocation is not announced', 'this.parts.announceRevocation(deviceId);', '']],
  ),
  ...inFile('src/quic/node-connection.ts', { rule: EVENTS, test: service, only: 'announce the revocation' }, [
    ['what was written before the close stays behind', 'if (this.isAdmitted) this.connection.flush();', ''],
  ]),
  ...inFile('src/quic/quic-strategy.ts', { rule: EVENTS, test: transport, only: 'slow reader' }, [
    ['handlers do not learn that a reader is slow', 'this.#isBlocked = true;', ''],
    ['a handler is not told that nobody reads', 'this.#ended?.abort();', ''],
    [
      'a handler waits for a reader that has gone',
      'this.#unblock?.();\n    this.#subscription',
      'this.#subscription',
    ],
  ]),
];

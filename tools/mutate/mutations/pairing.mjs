import { inFile } from '../mutation.mjs';

const PAIRING = 'PROTOCOL, Pairing';

const handshake = 'src/pairing/protocol/handshake.spec.ts';

/** Codes, handshake, requests, decisions, collection. */
export const pairing = [
  ...inFile(
    'src/pairing/protocol/transcript.ts',
    { rule: PAIRING, test: handshake },
    [
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
];

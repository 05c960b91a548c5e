import type { NodePairingRequest } from '../../generated/palyra/controlplane/v1/pairing.js';
import { clientKindWord, pairingStateWord } from '../enum-word.js';
import { timeText } from '../terminal/time-text.js';

/** One request for people; the words come first, since they are what decides. */
export function requestFields(request: NodePairingRequest, now: number): [string, string][] {
  const fields: [string, string][] = [
    ['request', request.requestId],
    ['state', pairingStateWord(request.state)],
    ['words', request.fingerprintWords.join(' ')],
    ['fingerprint', request.identityFingerprint.toString('hex')],
    ['device', `${request.deviceId}${request.knownDevice ? ' (known, same key)' : ''}`],
    ['kind', clientKindWord(request.clientKind)],
    ['platform', `${request.platform} (as the device says)`],
    ['from', request.sourceAddress],
    ['code', `${request.codeId === '' ? '(still live)' : request.codeId} of ${request.codeCreatedBy}`],
    ['begun', timeText(request.createTime, now)],
    ['ends', timeText(request.expireTime, now)],
  ];
  if (request.conflict !== '') fields.push(['conflict', request.conflict]);
  const known = request.knownIdentityFingerprint.toString('hex');
  if (request.conflict === 'IDENTITY_CHANGED') fields.push(['would replace', known]);
  if (request.keyDeviceId !== '') fields.push(['key is that of', request.keyDeviceId]);
  if (request.deviceIdRevoked) fields.push(['revoked', 'the device id']);
  if (request.keyRevoked) fields.push(['revoked', 'the identity key']);
  if (request.decidedBy === '') return fields;
  fields.push(
    ['decided', `by ${request.decidedBy}, ${timeText(request.decideTime, now)}`],
    ['reason', request.reason],
  );
  return fields;
}

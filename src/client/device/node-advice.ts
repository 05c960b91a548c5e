const WAY_THERE =
  'check the address and the port, that the service runs, and that no firewall stops UDP on the way';
const OTHER_VERSION = 'the service is of another version: update the older side';
const NEW_CERTIFICATE = 'get a new one with: palyra node renew';

/** What a device can do about the end of a connection or a refused call, by its reason. */
export const NODE_ADVICE: Readonly<Record<string, string>> = {
  SERVER_UNREACHABLE: WAY_THERE,
  CONNECT_TIMEOUT: WAY_THERE,
  UNKNOWN_CA:
    'this device is paired with another cluster than that address is of: name the right one with --endpoint, or pair again',
  FALSE_SERVER:
    'check the address: it may be of another cluster than this device is paired with. If it is right, somebody may stand in between: do not go on, ask an operator whether to pair again',
  EXPIRED: NEW_CERTIFICATE,
  CERTIFICATE_EXPIRED: NEW_CERTIFICATE,
  RESUME_FROM_AHEAD:
    'begin from the start, without --resume-from. If that number came from this service, tell an operator: its store was set back to an older copy',
  PROTOCOL_MISMATCH: OTHER_VERSION,
  UNSUPPORTED_METHOD: OTHER_VERSION,
};

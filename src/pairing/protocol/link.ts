import { decodeBase64Url, encodeBase64Url } from '../../encoding/base64url.js';
import { readTypedCrockford } from '../../encoding/crockford.js';
import { type DomainError, malformed } from '../../errors/domain-error.js';
import { LINK_CODE_ID_LENGTH, type LinkCode, parsePinCode, type PinCode } from './code.js';
import { isEndpoint } from './endpoint.js';

/** `palyra://pair` links (docs/protocol.md, "Pairing", Link). */

export const LINK_VERSION = '2';
export const LINK_SECRET_BYTES = 16;
export const CA_HASH_BYTES = 32;

const PARAMETERS = ['v', 'endpoint', 'code', 'secret', 'ca'] as const;
type Parameter = (typeof PARAMETERS)[number];

/** Scheme and host in any case, path empty or `/`; then visible ASCII without a fragment. */
const LINK = /^palyra:\/\/pair\/?\?([!-"$-~]*)$/i;

/**
 * Reads what a person was given: a code or a whole link. Throws `malformed` with the reasons of `parsePinCode` or
 * {@link parseLink}.
 */
export function parseCodeOrLink(text: string): PinCode | LinkCode {
  return text.includes(':') ? parseLink(text) : parsePinCode(text);
}

/** We write one spelling: this order, and only the brackets of an IPv6 address escaped. */
export function formatLink(code: Omit<LinkCode, 'kind'>): string {
  const endpoint = code.endpoint.replace('[', '%5B').replace(']', '%5D');
  const secret = encodeBase64Url(code.secret);
  const ca = encodeBase64Url(code.ca);
  return `palyra://pair?v=${LINK_VERSION}&endpoint=${endpoint}&code=${code.codeId}&secret=${secret}&ca=${ca}`;
}

/**
 * Throws `malformed`: NOT_A_LINK, LINK_VERSION, LINK_PARAMETER_UNKNOWN, LINK_PARAMETER_TWICE, LINK_PARAMETER_MISSING,
 * LINK_ESCAPE, LINK_ENDPOINT, LINK_CODE, LINK_SECRET, LINK_CA.
 */
export function parseLink(text: string): LinkCode {
  const query = LINK.exec(trimBlanks(text))?.[1];
  if (query === undefined) {
    throw malformed('NOT_A_LINK', 'this is no pairing link; one begins with palyra://pair?');
  }
  const parameters = readParameters(query);
  return {
    kind: 'link',
    endpoint: readEndpoint(parameters.endpoint),
    codeId: readCodeId(parameters.code),
    secret: readSecret(parameters.secret),
    ca: readCa(parameters.ca),
  };
}

function trimBlanks(text: string): string {
  return text.replace(/^[ \t\r\n]+/, '').replace(/[ \t\r\n]+$/, '');
}

/** Exactly the five parameters, once each, in any order. Their names stand as they are, values may be escaped once. */
function readParameters(query: string): Record<Parameter, string> {
  const pairs = query.split('&').map(splitPair);
  refuseOtherVersion(pairs);
  const found = new Map<Parameter, string>();
  for (const [name, value] of pairs) {
    if (!isParameter(name) || value === undefined) {
      throw incomplete('LINK_PARAMETER_UNKNOWN', 'the link holds something that no pairing link has');
    }
    if (found.has(name)) throw incomplete('LINK_PARAMETER_TWICE', `the link holds ${name} twice`);
    found.set(name, unescapeOnce(value));
  }
  const get = (name: Parameter): string => {
    const value = found.get(name);
    if (value === undefined) throw incomplete('LINK_PARAMETER_MISSING', `the link has no ${name}`);
    return value;
  };
  return { v: get('v'), endpoint: get('endpoint'), code: get('code'), secret: get('secret'), ca: get('ca') };
}

/** First, so that a link of a later version is called that, whatever else stands in it. */
function refuseOtherVersion(pairs: readonly (readonly [string, string | undefined])[]): void {
  const version = pairs.find(([name]) => name === 'v')?.[1];
  if (version !== undefined && unescapeOnce(version) !== LINK_VERSION) {
    throw malformed('LINK_VERSION', 'the link is for another version of palyra; update this one');
  }
}

function splitPair(pair: string): readonly [string, string | undefined] {
  const equals = pair.indexOf('=');
  return equals < 0 ? [pair, undefined] : [pair.slice(0, equals), pair.slice(equals + 1)];
}

function isParameter(name: string): name is Parameter {
  return (PARAMETERS as readonly string[]).includes(name);
}

/** `%XX` undone once, byte by byte; `+` is a plus. Every value is ASCII, so what is not is refused by its own check. */
function unescapeOnce(value: string): string {
  if (/%(?![0-9A-Fa-f]{2})/.test(value)) {
    throw incomplete('LINK_ESCAPE', 'the link holds a % that escapes nothing');
  }
  return value.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function readEndpoint(value: string): string {
  if (!isEndpoint(value)) throw incomplete('LINK_ENDPOINT', 'the endpoint of the link is not host:port');
  return value;
}

function readCodeId(value: string): string {
  const codeId = readTypedCrockford(value);
  if (codeId?.length !== LINK_CODE_ID_LENGTH) {
    throw incomplete('LINK_CODE', 'the code of the link is not 8 characters of base 32');
  }
  return codeId;
}

function readSecret(value: string): Buffer {
  const secret = decodeBase64Url(value, LINK_SECRET_BYTES);
  if (secret === undefined) throw incomplete('LINK_SECRET', 'the secret of the link is damaged');
  return secret;
}

function readCa(value: string): Buffer {
  const ca = decodeBase64Url(value, CA_HASH_BYTES);
  if (ca === undefined) throw incomplete('LINK_CA', 'the CA hash of the link is damaged');
  return ca;
}

function incomplete(reason: string, problem: string): DomainError {
  return malformed(reason, `${problem}; copy the whole link again`);
}

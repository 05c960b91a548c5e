import { DomainError } from '../errors/domain-error.js';

/** Longest name, in characters (all ASCII, so also in bytes). */
const LONGEST_NAME = 200;

/** One to four parts joined by `/`; the first is a lower-case word. */
const NAME = /^[a-z][a-z0-9-]*(?:\/[A-Za-z0-9._-]+){0,3}$/;
const PREFIX = /^(?:[a-z][a-z0-9-]*(?:\/[A-Za-z0-9._-]+){0,3}\/?)?$/;

/** Ids that are written in upper case (docs/protocol.md, "Sealed records"). */
const UPPER_CASE_IDS = /^(?:device|code|tombstone\/device)\//;
/** Ids of requests are in one case, whichever. All other names are lower case. */
const ONE_CASE_IDS = /^request\//;

/**
 * Throws `SECRET_NAME_INVALID` unless `name` has the form of a record's name. One spelling each: a record under
 * `device/01k9…` could otherwise stand beside the one under `device/01K9…`.
 */
export function requireSecretName(name: string): void {
  if (name.length > LONGEST_NAME || !NAME.test(name) || !hasRightCase(name)) throw invalid(name);
}

/** Throws `SECRET_NAME_INVALID` unless some name could start with `prefix`. The empty prefix lists everything. */
export function requireSecretPrefix(prefix: string): void {
  if (prefix.length > LONGEST_NAME || !PREFIX.test(prefix)) throw invalid(prefix);
}

function hasRightCase(name: string): boolean {
  const id = name.slice(name.lastIndexOf('/') + 1);
  if (UPPER_CASE_IDS.test(name)) return id === id.toUpperCase();
  if (ONE_CASE_IDS.test(name)) return id === id.toUpperCase() || id === id.toLowerCase();
  return name === name.toLowerCase();
}

function invalid(name: string): DomainError {
  const shown = JSON.stringify(name.slice(0, LONGEST_NAME));
  return new DomainError('malformed', 'SECRET_NAME_INVALID', `${shown} is not the name of a record.`);
}

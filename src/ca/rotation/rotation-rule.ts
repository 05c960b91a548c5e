import { type DomainError, notFound, wrongState } from '../../errors/domain-error.js';
import type { Root } from '../root-record.js';
import type { RootSet } from '../root-set.js';

/**
 * The steps of a rotation (DESIGN §3) over facts: which root a step is about, or why it is refused. `keyId` is empty when
 * the caller means the only one that the step can be about.
 */

/**
 * Older roots that one chain leads to. OpenSSL takes the first certificate in a chain that fits as the issuer,
 * and never goes back: with cross-certificates of two old roots, whoever knows only the second could not verify the leaf.
 */
const MOST_OLDER_ROOTS = 1;

/** The root that certifies the key of a new one: the one that signs, as soon as no way from an earlier one is shown. */
export function signersOfNext(set: RootSet, now: number, returnGraceMs: number): Root[] {
  const prepared = set.all.find(({ state }) => state === 'prepared');
  if (prepared !== undefined) {
    throw wrongState(
      'ROOT_PREPARED',
      `the root ${prepared.issuer.keyId} is prepared already; activate it, or retire it to begin again`,
    );
  }
  const older = [...set.olderThan(set.signing, now, returnGraceMs), set.signing];
  if (older.length <= MOST_OLDER_ROOTS) return older;
  throw wrongState(
    'ROTATION_TOO_SOON',
    'the way from an earlier root is still shown; prepare the next one when that is through (palyra ca show)',
  );
}

/** `undefined`: it signs already. Throws `not_found` ROOT_NOT_FOUND, or `wrong_state` ROOT_STATE or CA_NOT_VALID. */
export function rootToActivate(set: RootSet, keyId: string, now: number): Root | undefined {
  const root = chosen(set, keyId, 'prepared');
  if (root.state === 'signing') return undefined;
  if (root.state !== 'prepared') throw wrongStep(root, 'only a prepared root can be activated');
  const { notBefore, notAfter } = root.issuer.certificate;
  if (notBefore <= now && now < notAfter) return root;
  throw wrongState('CA_NOT_VALID', 'the prepared root is not valid at this time; check the clock');
}

/** One that is retired already, too. Throws `not_found` ROOT_NOT_FOUND, or `wrong_state` ROOT_STATE. */
export function rootToRetire(set: RootSet, keyId: string): Root {
  const root = chosen(set, keyId, 'retiring');
  if (root.state === 'signing') {
    throw wrongStep(root, 'the root that signs cannot be retired; prepare and activate another one first');
  }
  return root;
}

/** What leans on a retiring root; Unix milliseconds, `undefined` for nothing. */
export interface RootUse {
  /** When the last certificate under it expires. */
  readonly lastLeafExpiresAt: number | undefined;
  /** When the last link that pins it expires. */
  readonly lastLinkExpiresAt: number | undefined;
}

/** When it may be retired at the earliest: Unix milliseconds, `undefined` for now. */
export function neededUntil(use: RootUse, now: number): number | undefined {
  const until = Math.max(use.lastLeafExpiresAt ?? 0, use.lastLinkExpiresAt ?? 0);
  return until >= now ? until : undefined;
}

/** Throws `wrong_state` ROOT_IN_USE that says what is in the way, and when it is not any more. */
export function requireUnused(use: RootUse, now: number): void {
  const until = neededUntil(use, now);
  if (until === undefined) return;
  const what =
    until === use.lastLeafExpiresAt ? 'the last certificate under this root' : 'the last link that names it';
  throw wrongState(
    'ROOT_IN_USE',
    `${what} expires at ${new Date(until).toISOString()}; retire the root after that`,
  );
}

function chosen(set: RootSet, keyId: string, usual: Root['state']): Root {
  if (keyId !== '') {
    const root = set.find(keyId);
    if (root !== undefined) return root;
    throw notFound('ROOT_NOT_FOUND', `there is no root ${keyId}; \`palyra ca show\` shows all`);
  }
  const [root, other] = set.all.filter(({ state }) => state === usual);
  if (root === undefined) throw notFound('ROOT_NOT_FOUND', `no root is ${usual}`);
  if (other === undefined) return root;
  throw wrongState('ROOT_AMBIGUOUS', `more than one root is ${usual}; name one by its key id`);
}

function wrongStep(root: Root, problem: string): DomainError {
  return wrongState('ROOT_STATE', `the root ${root.issuer.keyId} is ${root.state}: ${problem}`);
}

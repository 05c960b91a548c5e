import type { Unit } from '../database/unit-of-work.js';
import { endCode } from './housekeeping.js';
import { PairingCodeRow } from './pairing.entity.js';

/** A link is drawn, with its pin, shortly before it is stored. */
const MINT_SLACK_MS = 60_000;

/**
 * When the last live link expires that was minted from `from` to `to`, so that it pins the root that signed then; Unix
 * milliseconds, `undefined` for none.
 */
export async function lastLinkExpiry(
  view: Pick<Unit, 'tables'>,
  from: number,
  to: number,
  now: number,
): Promise<number | undefined> {
  const row = await view.tables
    .createQueryBuilder(PairingCodeRow, 'code')
    .where('code.kind = :kind AND code.expiresAt >= :now', { kind: 'link', now })
    .andWhere('code.createdAt >= :from AND code.createdAt <= :to', { from, to: to + MINT_SLACK_MS })
    .orderBy('code.expiresAt', 'DESC')
    .limit(1)
    .getOne();
  return row?.expiresAt;
}

/** Ends every link: the root that they pin is not to be trusted any more. PINs pin nothing. Returns how many. */
export async function endAllLinks(unit: Unit): Promise<number> {
  const links = await unit.tables.findBy(PairingCodeRow, { kind: 'link' });
  for (const { codeId } of links) await endCode(unit, codeId);
  return links.length;
}

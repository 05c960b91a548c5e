import { z } from 'zod';
import type { Unit } from '../database/unit-of-work.js';
import { encodeCrockford } from '../encoding/crockford.js';
import { wrongState } from '../errors/domain-error.js';
import type { RandomBytes } from '../random/random-bytes.js';
import { decodeJsonRecord, encodeJsonRecord } from '../secret-store/json-record.js';

/** The sealed record `cluster`: what is fixed at the first start for good. */

export const CLUSTER_RECORD_NAME = 'cluster';
const NAME_CHARACTERS = 10;

const schema = z.strictObject({ v: z.literal(1), trustDomain: z.string() });

/**
 * The trust domain of this store. At the first start it is what the settings say, or
 * `<10 lower-case Crockford characters>.palyra.internal`; another value later is `wrong_state` with TRUST_DOMAIN, since
 * every certificate and every device has the first one.
 */
export async function fixTrustDomain(
  unit: Unit,
  wanted: string | undefined,
  random: RandomBytes,
): Promise<string> {
  const sealed = await unit.secrets.read(CLUSTER_RECORD_NAME);
  if (sealed === undefined) return storeTrustDomain(unit, wanted ?? newTrustDomain(random));
  const { trustDomain } = decodeJsonRecord(CLUSTER_RECORD_NAME, schema, sealed);
  if (wanted === undefined || wanted === trustDomain) return trustDomain;
  throw wrongState(
    'TRUST_DOMAIN',
    `the trust domain of this store is "${trustDomain}" since its first start and cannot become "${wanted}"; ` +
      'unset PALYRA_TRUST_DOMAIN, or start with another data directory',
  );
}

async function storeTrustDomain(unit: Unit, trustDomain: string): Promise<string> {
  await unit.secrets.write(CLUSTER_RECORD_NAME, encodeJsonRecord({ trustDomain }));
  return trustDomain;
}

function newTrustDomain(random: RandomBytes): string {
  return `${encodeCrockford(random(8), 'lower').slice(0, NAME_CHARACTERS)}.palyra.internal`;
}

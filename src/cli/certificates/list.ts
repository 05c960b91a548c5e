import { ClientError } from '../../client/client-error.js';
import type { OperatorClient } from '../../client/operator-client.js';
import {
  type CertificateCounts,
  type InventoryCertificate,
  ListCertificatesResponse,
} from '../../generated/palyra/controlplane/v1/certificate.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { readAge } from '../duration-option.js';
import { certificateStateWord, readCertificateState } from '../enum-word.js';
import { withOperatorSession } from '../operator-session.js';
import { timeText } from '../terminal/time-text.js';

export interface CertificateListOptions extends OperatorOptions {
  readonly state?: string;
  readonly device?: string;
  readonly expiresWithin?: string;
  readonly limit?: string;
}

const HEADERS = ['ENDS', 'FOR', 'STATE', 'SERIAL', 'ISSUED'];
const PAGE_SIZE = 500;

/** `palyra certificates list`. */
export async function listCertificates(context: CliContext, options: CertificateListOptions): Promise<void> {
  const state = readCertificateState(options.state);
  const within =
    options.expiresWithin === undefined ? undefined : readAge('--expires-within', options.expiresWithin);
  const limit = options.limit === undefined ? Infinity : readLimit(options.limit);
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const range =
      within === undefined ? {} : { expiresFrom: new Date(now), expiresBefore: new Date(now + within) };
    const request = { deviceId: options.device ?? '', state, ...range };
    const { certificates, counts, more } = await read(client, request, limit);
    output.object(ListCertificatesResponse.toJSON({ certificates, counts, nextPageToken: '' }));
    output.table(
      HEADERS,
      certificates.map((certificate) => [
        timeText(certificate.expireTime, now),
        certificate.subjectId,
        stateText(certificate),
        certificate.serial.toString('hex'),
        timeText(certificate.issueTime, now),
      ]),
      'no certificates',
    );
    output.line(countText(counts) + (more ? `; the first ${limit} are shown` : ''));
  });
}

interface Read {
  readonly certificates: InventoryCertificate[];
  readonly counts: CertificateCounts | undefined;
  readonly more: boolean;
}

type Request = Parameters<OperatorClient['listCertificates']>[0];

async function read(client: OperatorClient, request: Request, limit: number): Promise<Read> {
  const certificates: InventoryCertificate[] = [];
  let counts: CertificateCounts | undefined;
  let pageToken = '';
  do {
    const pageSize = Math.min(PAGE_SIZE, limit - certificates.length);
    const page = await client.listCertificates({
      ...request,
      pageSize,
      pageToken,
      withCounts: pageToken === '',
    });
    certificates.push(...page.certificates);
    counts ??= page.counts;
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && certificates.length < limit);
  return { certificates, counts, more: pageToken !== '' };
}

/** `valid`, and whether a device has no newer one. */
const stateText = ({ state, current }: InventoryCertificate): string =>
  current ? `${certificateStateWord(state)}, newest` : certificateStateWord(state);

const countText = (counts: CertificateCounts | undefined): string =>
  counts === undefined ? '' : `${counts.valid} valid, ${counts.expired} expired, ${counts.revoked} revoked`;

function readLimit(text: string): number {
  const limit = /^[1-9]\d{0,8}$/.test(text) ? Number(text) : NaN;
  if (limit > 0) return limit;
  throw new ClientError('usage', 'LIMIT', `--limit ${JSON.stringify(text)} is no count`, {
    advice: 'write a whole number from 1 on',
  });
}

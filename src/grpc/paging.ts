import { malformed } from '../errors/domain-error.js';

const DEFAULT_PAGE_SIZE = 100;
const LARGEST_PAGE_SIZE = 1000;
/** Ids that serve as cursors: ULIDs and code ids. */
const CURSOR = /^[0-9A-Za-z]{1,64}$/;

export interface Page {
  readonly limit: number;
  /** Id of the last item of the page before. */
  readonly cursor?: string;
}

/** Page size and token as the list RPCs carry them. Throws `malformed` with INVALID_PAGE. */
export function parsePage(request: { readonly pageSize: number; readonly pageToken: string }): Page {
  if (request.pageSize > LARGEST_PAGE_SIZE) {
    throw malformed('INVALID_PAGE', `page_size is at most ${LARGEST_PAGE_SIZE}`);
  }
  const limit = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  if (request.pageToken === '') return { limit };
  const cursor = Buffer.from(request.pageToken, 'base64url').toString('ascii');
  if (!CURSOR.test(cursor))
    throw malformed('INVALID_PAGE', 'page_token is not one that this service gave out');
  return { limit, cursor };
}

/** The token that continues after `last`; empty when there is no more. */
export function pageToken(last: string | undefined): string {
  return last === undefined ? '' : Buffer.from(last, 'ascii').toString('base64url');
}

const LONGEST_REASON_BYTES = 500;

/** A reason that a person gave. Throws `malformed` with INVALID_REASON when it is too long or not text. */
export function parseReason(reason: string): string {
  if (Buffer.byteLength(reason) > LONGEST_REASON_BYTES) {
    throw malformed('INVALID_REASON', `a reason is at most ${LONGEST_REASON_BYTES} bytes of UTF-8`);
  }
  if (reason.includes('\u0000')) throw malformed('INVALID_REASON', 'a reason holds no U+0000');
  return reason;
}

import { Controller, Get, Headers, Param, Res } from '@nestjs/common';
import { CrlPublisher } from './crl-publisher.js';

/** The part of a Fastify reply that is used here. */
interface Reply {
  status(code: number): Reply;
  headers(values: Readonly<Record<string, string>>): Reply;
}

/** Caches between us and relying parties keep a list for so long, seconds; after that they ask again, with the ETag. */
const MAX_AGE_SECONDS = 60;
/** A CA certificate never changes; its address is its key. */
const CERTIFICATE_MAX_AGE_SECONDS = 86_400;

/** What the certificates point to: revocation lists (CRLDP) and CA certificates (AIA), by key id. */
@Controller()
export class CrlController {
  constructor(private readonly publisher: CrlPublisher) {}

  /** DER (RFC 5280 §5), as RFC 2585 §4 serves it. */
  @Get('crl/:keyId')
  async crl(
    @Param('keyId') keyId: string,
    @Headers('if-none-match') known: string | undefined,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<Buffer | undefined> {
    const { der, number, thisUpdate } = await this.publisher.current(keyId);
    const etag = `"${number}"`;
    reply.headers({
      'content-type': 'application/pkix-crl',
      'cache-control': `public, max-age=${MAX_AGE_SECONDS}, must-revalidate`,
      'last-modified': new Date(thisUpdate).toUTCString(),
      etag,
    });
    if (!isKnown(known, etag)) return der;
    reply.status(304);
    return undefined;
  }

  @Get('ca/:keyId')
  certificate(@Param('keyId') keyId: string, @Res({ passthrough: true }) reply: Reply): Buffer {
    const { certificate } = this.publisher.issuer(keyId);
    reply.headers({
      'content-type': 'application/pkix-cert',
      'cache-control': `public, max-age=${CERTIFICATE_MAX_AGE_SECONDS}`,
    });
    return certificate.der;
  }
}

/** RFC 9110 §13.1.2, by weak comparison. */
function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = ifNoneMatch?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? [];
  return tags.includes(etag) || tags.includes('*');
}

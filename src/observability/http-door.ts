import type { ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { HttpSettings } from '../config/settings.js';
import { sourceOf } from '../network/network-address.js';

/** Probes have no body and few headers. */
const MAX_BODY_BYTES = 1024;
const MAX_HEADER_BYTES = 8 * 1024;
const TIMEOUT_MS = 10_000;

const HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** The HTTP server under Nest: GET (and so HEAD, RFC 9110 §9.1) of a few paths, nothing else, with bounds on size, time and connections. */
export function httpAdapter(settings: HttpSettings): FastifyAdapter {
  const adapter = new FastifyAdapter({
    bodyLimit: MAX_BODY_BYTES,
    exposeHeadRoutes: true,
    requestTimeout: TIMEOUT_MS,
    connectionTimeout: TIMEOUT_MS,
    keepAliveTimeout: TIMEOUT_MS,
    forceCloseConnections: true,
    frameworkErrors: refuse,
    http: { maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: TIMEOUT_MS },
  });
  const fastify = adapter.getInstance();
  fastify.removeAllContentTypeParsers();
  fastify.addHook('onRequest', (_request, reply, done) => {
    reply.headers(HEADERS);
    done();
  });
  fastify.server.maxConnections = settings.maxConnections;
  boundSources(fastify.server, settings.maxConnectionsPerAddress);
  return adapter;
}

/** The part of a Fastify reply that is used here. */
interface Reply {
  /** From here on the answer is ours. */
  hijack(): unknown;
  readonly raw: Pick<ServerResponse, 'statusCode' | 'setHeader'> & { end(answer: string): unknown };
}

/** Answers what Fastify refuses before any hook runs, an address that it cannot read: it would repeat that, without headers. */
function refuse(error: { readonly statusCode?: number }, _request: unknown, reply: Reply): void {
  reply.hijack();
  const { raw } = reply;
  raw.statusCode = error.statusCode ?? 400;
  raw.setHeader('content-type', 'application/json; charset=utf-8');
  for (const [name, value] of Object.entries(HEADERS)) raw.setHeader(name, value);
  raw.end(JSON.stringify({ reason: 'REFUSED' }));
}

/** One caller who holds all connections open would keep the probes out, and a supervisor would end the process. */
function boundSources(server: Server, most: number): void {
  const openBySource = new Map<string, number>();
  server.prependListener('connection', (socket: Socket) => {
    const source = sourceOf(socket.remoteAddress ?? 'unknown');
    const open = openBySource.get(source) ?? 0;
    if (open >= most) {
      socket.destroy();
      return;
    }
    openBySource.set(source, open + 1);
    socket.once('close', () => {
      const left = (openBySource.get(source) ?? 1) - 1;
      if (left === 0) openBySource.delete(source);
      else openBySource.set(source, left);
    });
  });
}

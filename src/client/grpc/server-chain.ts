import { X509Certificate, createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { controlPlaneDnsName } from '../../ca/spiffe-id.js';
import { stoppedBy } from '../client-error.js';
import { connectionError, unreachable } from './connection-error.js';
import { checkControlPlane } from './control-plane-name.js';
import type { Endpoint } from './endpoint.js';

/** What a server is verified against. */
export interface ServerTrust {
  /** Root certificates, DER. */
  readonly roots: readonly Buffer[];
  readonly trustDomain: string;
}

export interface ConnectOptions {
  /** For the TCP connection and the TLS handshake together. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** No server of ours sends more: leaf, roots, and cross-certificates during a rotation. */
const MAX_CHAIN = 10;

/**
 * The certificates that a server shows, leaf first, over TLS 1.3. Nothing about them is verified and nothing is sent on
 * the connection. Throws `unreachable`.
 */
export async function fetchServerChain(
  endpoint: Endpoint,
  options: ConnectOptions,
): Promise<X509Certificate[]> {
  const servername = isIP(endpoint.host) === 0 ? { servername: endpoint.host } : {};
  return withConnection(endpoint, { ...servername, rejectUnauthorized: false }, options, readChain);
}

/**
 * Connects once, verified against `trust`, and hangs up. Throws `refused` when the server is another one, `unreachable`
 * when there is none: grpc-js tells the two apart only in its text.
 */
export async function probeServer(
  endpoint: Endpoint,
  trust: ServerTrust,
  options: ConnectOptions,
): Promise<void> {
  const verified: ConnectionOptions = {
    ca: trust.roots.map(rootPem),
    servername: controlPlaneDnsName(trust.trustDomain),
    checkServerIdentity: checkControlPlane(trust.trustDomain),
    rejectUnauthorized: true,
  };
  await withConnection(endpoint, verified, options, () => undefined);
}

/** SHA-256 of the certificate's SubjectPublicKeyInfo: what tokens and links pin. */
export function spkiSha256(certificate: X509Certificate): Buffer {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest();
}

export function rootPem(der: Buffer): string {
  return new X509Certificate(der).toString();
}

function readChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = socket.getPeerX509Certificate();
  while (next !== undefined && chain.length < MAX_CHAIN) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

async function withConnection<T>(
  endpoint: Endpoint,
  tls: ConnectionOptions,
  options: ConnectOptions,
  use: (socket: TLSSocket) => T,
): Promise<T> {
  const { signal } = options;
  if (signal?.aborted === true) throw stoppedBy(signal);
  return new Promise<T>((resolve, reject) => {
    const socket = connect({
      host: endpoint.host,
      port: endpoint.port,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2'],
      ...tls,
    });
    const fail = (error: Error): void => {
      release();
      reject(error);
    };
    const onTimeout = (): void => {
      fail(unreachable(endpoint, 'it did not answer in time'));
    };
    const onAbort = (): void => {
      if (signal !== undefined) fail(stoppedBy(signal));
    };
    const timer = setTimeout(onTimeout, options.timeoutMs);
    const release = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.destroy();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.on('error', (error: Error) => {
      fail(connectionError(endpoint, error));
    });
    socket.once('close', () => {
      fail(unreachable(endpoint, 'it closed the connection'));
    });
    socket.once('secureConnect', () => {
      resolve(use(socket));
      release();
    });
  });
}

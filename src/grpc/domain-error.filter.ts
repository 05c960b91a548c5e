import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Inject } from '@nestjs/common';
import { type Observable, throwError } from 'rxjs';
import type { ErrorKind } from '../errors/domain-error.js';
import { isGrpcCall } from './caller-of-call.js';
import { FAILURE_LOG, type FailureLog } from './failure-log.js';
import { publicError, toStatus } from './status.js';

/** What a failed request of the HTTP door answers. */
const HTTP_STATUS_OF_KIND: Readonly<Record<ErrorKind, number>> = {
  malformed: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  already_exists: 409,
  wrong_state: 409,
  conflict: 409,
  exhausted: 429,
  unavailable: 503,
  timeout: 504,
  corrupt: 500,
  internal: 500,
};

/** The part of a Fastify reply that is used here. */
interface HttpReply {
  status(code: number): HttpReply;
  send(body: unknown): unknown;
}

/** The one filter of all doors: logs what nobody foresaw, once, and says to the caller what a caller may know. */
@Catch()
export class DomainErrorFilter implements ExceptionFilter {
  constructor(@Inject(FAILURE_LOG) private readonly log: FailureLog) {}

  catch(error: unknown, host: ArgumentsHost): Observable<never> | undefined {
    if (host.getType() === 'http') {
      this.answerHttp(error, host.switchToHttp().getResponse<HttpReply>());
      return undefined;
    }
    this.log.report(error, callName(host));
    // QUIC has its own table from kinds to error codes (src/quic/).
    return throwError(() => (isGrpc(host) ? toStatus(error) : publicError(error)));
  }

  private answerHttp(error: unknown, reply: HttpReply): void {
    if (error instanceof HttpException) {
      const status = error.getStatus();
      reply.status(status).send({ reason: status === 404 ? 'NOT_FOUND' : 'REFUSED' });
      return;
    }
    this.log.report(error, 'http');
    const known = publicError(error);
    reply.status(HTTP_STATUS_OF_KIND[known.kind]).send({ reason: known.reason, message: known.message });
  }
}

function isGrpc(host: ArgumentsHost): boolean {
  return grpcPath(host) !== undefined;
}

function callName(host: ArgumentsHost): string {
  return grpcPath(host) ?? 'node rpc';
}

/** Nest hands gRPC handlers the call as their third argument. */
function grpcPath(host: ArgumentsHost): string | undefined {
  const call: unknown = host.getArgByIndex(2);
  return isGrpcCall(call) ? call.getPath() : undefined;
}

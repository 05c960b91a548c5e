import type { ServiceDefinition } from '@grpc/grpc-js';
import { DomainError } from '../errors/domain-error.js';

/** Stands in for a request that was not read; interceptors answer it with `error`. */
export class UnreadableRequest {
  constructor(readonly error: DomainError) {}
}

/**
 * The same service, with requests of each method bounded to `limitOf(path)` bytes. grpc-js has one bound for all methods
 * and turns what a deserializer throws into INTERNAL; so it returns the refusal instead, for the interceptor to answer.
 */
export function withRequestBounds<S extends ServiceDefinition>(
  service: S,
  limitOf: (path: string) => number,
): S {
  const methods = Object.entries(service).map(([name, method]) => {
    const read = (bytes: Buffer): unknown =>
      readRequest(bytes, limitOf(method.path), method.requestDeserialize as (bytes: Buffer) => unknown);
    return [name, { ...method, requestDeserialize: read }];
  });
  return Object.fromEntries(methods) as S;
}

function readRequest(bytes: Buffer, limit: number, read: (bytes: Buffer) => unknown): unknown {
  if (bytes.length > limit) {
    const text = `the request has ${bytes.length} bytes; this call takes at most ${limit}`;
    return new UnreadableRequest(new DomainError('exhausted', 'MESSAGE_TOO_LARGE', text));
  }
  try {
    return read(bytes);
  } catch (error) {
    const text = 'the request is not the message that the proto file defines';
    return new UnreadableRequest(new DomainError('malformed', 'MESSAGE_MALFORMED', text, { cause: error }));
  }
}

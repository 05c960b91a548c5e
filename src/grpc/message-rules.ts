import type { ServiceDefinition } from '@grpc/grpc-js';
import { DomainError } from '../errors/domain-error.js';

/** Stands in for a request that was not read; interceptors answer it with `error`. */
export class UnreadableRequest {
  constructor(readonly error: DomainError) {}
}

/** What a server asks of the messages of its services. */
export interface MessageRules {
  /** Largest request of the method with this path, in bytes. */
  requestLimit(path: string): number;
  /** Learns of answers that do not fit their proto file; the caller is told INTERNAL. */
  answerFailed(error: unknown, path: string): void;
}

/**
 * The same service under `rules`. grpc-js has one bound for the requests of all methods, turns what a deserializer throws
 * into INTERNAL and tells nobody what a serializer threw; so a refused request is returned for the interceptor to answer.
 */
export function withMessageRules(service: ServiceDefinition, rules: MessageRules): ServiceDefinition {
  const methods = Object.entries(service).map(([name, method]) => {
    const deserialize = method.requestDeserialize as (bytes: Buffer) => unknown;
    const serialize = method.responseSerialize as (message: unknown) => Buffer;
    const ruled = {
      ...method,
      requestDeserialize: (bytes: Buffer) => readRequest(bytes, rules.requestLimit(method.path), deserialize),
      responseSerialize: (message: unknown) => writeAnswer(message, method.path, serialize, rules),
    };
    return [name, ruled];
  });
  return Object.fromEntries(methods) as ServiceDefinition;
}

function writeAnswer(
  message: unknown,
  path: string,
  serialize: (message: unknown) => Buffer,
  rules: MessageRules,
): Buffer {
  try {
    return serialize(message);
  } catch (error) {
    rules.answerFailed(error, path);
    throw error;
  }
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

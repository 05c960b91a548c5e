import type { Metadata } from '@grpc/grpc-js';
import { DomainError } from '../errors/domain-error.js';
import type { Caller, OperatorAuthenticator, OperatorCaller } from '../operators/caller.js';

/** A gRPC call, as far as its caller is concerned; what Nest hands to every handler as its third argument. */
export interface IdentifiedCall {
  readonly metadata: Metadata;
}

/** A gRPC call as guards and filters see it. */
export interface GrpcCall extends IdentifiedCall {
  /** `/palyra.controlplane.v1.ControlPlane/GetStatus`. */
  getPath(): string;
  /** Response metadata; nothing happens once it was sent or the caller has gone. */
  sendMetadata(metadata: Metadata): void;
}

/** Tells the calls of gRPC from what other doors hand to guards and filters. */
export function isGrpcCall(value: unknown): value is GrpcCall {
  return (
    typeof value === 'object' &&
    value !== null &&
    'getPath' in value &&
    typeof value.getPath === 'function' &&
    'metadata' in value
  );
}

/** grpc-js hands the same metadata object to interceptors, guards and handlers of a call, and to nobody else. */
const callers = new WeakMap<Metadata, Caller>();

const proofs = new WeakMap<Metadata, (id: string) => void>();

/** What is to happen once the caller has proved itself by what the call carries. */
export function rememberProof(metadata: Metadata, proved: (id: string) => void): void {
  proofs.set(metadata, proved);
}

/**
 * The caller, without a credential, has shown by what its call carries that it is a device of this cluster; `id` is the
 * device's, or that of its request.
 */
export function deviceProved(call: IdentifiedCall, id: string): void {
  proofs.get(call.metadata)?.(id);
}

/** Who makes this call. Every call that reaches a handler has been identified; anything else is a fault of ours. */
export function callerOf(call: IdentifiedCall): Caller {
  const caller = callers.get(call.metadata);
  if (caller === undefined) {
    throw new Error('a gRPC call reached its handler without having been identified');
  }
  return caller;
}

/** The operator who makes this call; for handlers of RPCs whose row asks for one. */
export function operatorOf(call: IdentifiedCall): OperatorCaller {
  const caller = callerOf(call);
  if (caller.kind !== 'operator') {
    throw new Error('an RPC for operators was served to somebody else');
  }
  return caller;
}

/**
 * Decides who makes a call, from its credentials alone, and remembers it for {@link callerOf}. A device's client
 * certificate counts as none.
 *
 * @throws DomainError `unauthenticated` for any credential that does not verify, and for more than one.
 */
export async function identifyCaller(
  metadata: Metadata,
  source: string,
  operators: OperatorAuthenticator,
): Promise<Caller> {
  const token = bearerToken(metadata);
  const caller: Caller =
    token === undefined ? { kind: 'nobody', source } : await authenticated(token, source, operators);
  callers.set(metadata, caller);
  return caller;
}

async function authenticated(
  token: string,
  source: string,
  operators: OperatorAuthenticator,
): Promise<OperatorCaller> {
  const operator = await operators.authenticate(token);
  if (operator === undefined) {
    throw credentialsInvalid();
  }
  return { kind: 'operator', operatorId: operator.operatorId, role: operator.role, source };
}

/** RFC 6750 §2.1: the scheme in any case, one blank, the token. */
function bearerToken(metadata: Metadata): string | undefined {
  const headers = metadata.get('authorization');
  if (headers.length === 0) {
    return undefined;
  }
  if (headers.length > 1) {
    throw new DomainError(
      'unauthenticated',
      'CREDENTIALS_AMBIGUOUS',
      'the call carries more than one credential; send one authorization header',
    );
  }
  const token = /^bearer ([A-Za-z0-9._~+/=-]{1,512})$/i.exec(String(headers[0]))?.[1];
  if (token === undefined) {
    throw credentialsInvalid();
  }
  return token;
}

function credentialsInvalid(): DomainError {
  return new DomainError(
    'unauthenticated',
    'CREDENTIALS_INVALID',
    'the credential is not valid; send `authorization: Bearer <operator token>` with a token of this cluster',
  );
}

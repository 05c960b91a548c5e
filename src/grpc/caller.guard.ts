import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { DomainError } from '../errors/domain-error.js';
import { type Caller, type OperatorRole, roleAllows } from '../operators/caller.js';
import { QuicContext } from '../quic/quic-context.js';
import { SERVICE_HOLDS } from '../runtime.js';
import type { ServiceHolds } from '../service-holds/service-holds.js';
import { CALL_POLICY } from './call-policy.js';
import { callerOf, isGrpcCall } from './caller-of-call.js';

/**
 * Lets a call through when its row in the table of callers allows its caller and nothing holds up its work; stands before
 * the handlers of every door. What it does not know it refuses.
 */
@Injectable()
export class CallerGuard implements CanActivate {
  constructor(@Inject(SERVICE_HOLDS) private readonly holds: ServiceHolds) {}

  canActivate(context: ExecutionContext): boolean {
    // HTTP serves probes and metrics and nothing else (src/observability/http-door.ts).
    if (context.getType() === 'http') {
      return true;
    }
    if (context.getType() !== 'rpc') {
      return false;
    }
    const [, second, call] = context.getArgs<[unknown, unknown, unknown]>();
    if (second instanceof QuicContext) {
      authorizeDevice(second.method);
      requireFree(this.holds, second.method);
      return true;
    }
    if (isGrpcCall(call)) {
      authorize(call.getPath(), callerOf(call));
      requireFree(this.holds, call.getPath());
      return true;
    }
    return false;
  }
}

/** @throws DomainError when the table of callers does not let `caller` call `path`. */
export function authorize(path: string, caller: Caller): void {
  const policy = CALL_POLICY.get(path);
  if (policy === undefined || policy.caller === 'device') {
    throw notCallable(path);
  }
  if (policy.caller === 'nobody') {
    return;
  }
  if (caller.kind === 'nobody') {
    throw new DomainError(
      'unauthenticated',
      'CREDENTIALS_REQUIRED',
      'this call needs an operator; send `authorization: Bearer <operator token>`',
    );
  }
  requireRole(caller.role, policy.role);
}

/** @throws DomainError `forbidden` with ROLE_REQUIRED when `role` does not include `needed`. */
export function requireRole(role: OperatorRole, needed: OperatorRole): void {
  if (roleAllows(role, needed)) return;
  throw new DomainError(
    'forbidden',
    'ROLE_REQUIRED',
    `this call needs the role ${needed}; you have ${role}. Ask an admin`,
  );
}

/** An operator learns that somebody has to act first, a device that it may come again. */
function requireFree(holds: ServiceHolds, name: string): void {
  const policy = CALL_POLICY.get(name);
  if (policy?.work === undefined) return;
  holds.require(policy.work, policy.caller === 'operator' ? 'wrong_state' : 'unavailable');
}

/** An admitted connection is a device's; the table says which methods are there for it. */
function authorizeDevice(method: string): void {
  if (CALL_POLICY.get(method)?.caller !== 'device') {
    throw notCallable(method);
  }
}

function notCallable(name: string): DomainError {
  return new DomainError('forbidden', 'NOT_CALLABLE', `${name} is not for callers of this door`);
}

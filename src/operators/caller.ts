/** What an operator may do; each role includes the ones before it. */
export const OPERATOR_ROLES = ['viewer', 'approver', 'admin'] as const;
export type OperatorRole = (typeof OPERATOR_ROLES)[number];

/** Who makes a gRPC call; decided in one place (`src/grpc/caller.guard.ts`) for every call. */
export type Caller = NobodyCaller | OperatorCaller;

/** Shows no credential. What it calls carries its own proof. */
export interface NobodyCaller {
  readonly kind: 'nobody';
  /** Address of the peer, for limits and audit. */
  readonly source: string;
}

export interface OperatorCaller {
  readonly kind: 'operator';
  readonly operatorId: string;
  readonly role: OperatorRole;
  /** Address of the peer, for limits and audit. */
  readonly source: string;
}

/** Whether `role` includes `needed`. */
export function roleAllows(role: OperatorRole, needed: OperatorRole): boolean {
  return OPERATOR_ROLES.indexOf(role) >= OPERATOR_ROLES.indexOf(needed);
}

/** Port from the doors to the operators' register. */
export interface OperatorAuthenticator {
  /**
   * The operator whose bearer token this is, or `undefined` for any token that does not verify; a malformed, an unknown
   * and a wrong one cost and look the same.
   */
  authenticate(token: string): Promise<Omit<OperatorCaller, 'kind' | 'source'> | undefined>;
}

/** How a caller stands in the audit log. */
export function actorOf(caller: Caller): string {
  return caller.kind === 'operator' ? `operator/${caller.operatorId}` : 'nobody';
}

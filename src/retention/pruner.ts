/** Something that removes one kind of what has served its time, in small units of work. */
export interface Pruner {
  /** The kind, as operators are shown it: `certificates`, `pairing_requests`, `audit_entries`. */
  readonly what: string;
  /** How long it is kept, milliseconds. */
  readonly keptForMs: number;
  /** How many would go now. */
  due(now: number): Promise<number>;
  /** Removes what is due, and asks before each unit whether it may go on. Returns how many went. */
  prune(now: number, mayGoOn: () => boolean): Promise<number>;
}

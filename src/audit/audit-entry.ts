/** What a decision leaves behind; the rest of an {@link AuditEntry} is filled in by the log. */
export interface AuditEvent {
  /** Who decided: `operator/<id>`, `device/<ULID>`, `system`, or `nobody`. */
  readonly actor: string;
  /** Where the call came from: an IP address, or `local` for what the process does by itself. */
  readonly source: string;
  /** What was decided, `<feature>.<past tense>`, for example `pairing.approved`. */
  readonly action: string;
  /** What it was decided about, for example `device/01K9ZAYT3M4V5W6X7Y8Z9ABCDE`. */
  readonly subject: string;
  /** The reason a person gave; empty if none. */
  readonly reason?: string;
  /** Further facts, without secrets; stored as JSON text. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** One link of the hash chain (docs/protocol.md, "Audit"). */
export interface AuditEntry {
  /** Unix milliseconds when the store was made or restored. */
  readonly epoch: number;
  /** 1 for the first entry; no gaps. Also the sequence of the change log. */
  readonly sequence: number;
  readonly timeMs: number;
  readonly actor: string;
  readonly source: string;
  readonly action: string;
  readonly subject: string;
  readonly reason: string;
  /** UTF-8 JSON as it was hashed; `{}` if none. */
  readonly details: string;
  /** SHA-256 of the entry before; 32 zero bytes for the first. */
  readonly previous: Buffer;
  readonly hash: Buffer;
}

/** Appends within the unit of work that makes the decision. The entry is numbered and chained when the unit ends. */
export interface AuditWriter {
  append(event: AuditEvent): void;
}

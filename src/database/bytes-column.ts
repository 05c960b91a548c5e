/** The type of byte columns: `blob` on SQLite. The one place that changes when PostgreSQL (`bytea`) comes. */
export const BYTES = 'blob';

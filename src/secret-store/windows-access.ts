/** Who may get at a file on Windows, by what `icacls` says of it. Pure: `windows-file-privacy.ts` runs the program. */

/**
 * Who may have access beside the user of this process, in lower case: the system and its administrators, who get at every
 * file anyway, and the entry that files in a directory take over as one for whoever makes them.
 */
const ACCEPTED: readonly string[] = ['nt authority\\system', 'builtin\\administrators', 'creator owner'];

/** Marks that say how an entry was inherited and goes on; what is left in brackets are rights. */
const INHERITANCE: ReadonlySet<string> = new Set(['I', 'OI', 'CI', 'IO', 'NP']);

/** Entries of this kind say how far a process must be trusted, and give nothing. */
const INTEGRITY_LABEL = 'mandatory label\\';

const ALL_DONE = 'Successfully processed 1 files; Failed processing 0 files';

export interface AccessEntry {
  /** `DOMAIN\name`, a name without a domain, or a SID that the system has no name for. */
  readonly principal: string;
  /** It gives something; otherwise it takes something away. */
  readonly allows: boolean;
}

/**
 * Reads the output of `icacls <path>` in English: the path with the first entry, each further entry on an indented line,
 * and a line that counts. Anything else is `undefined`, so that nothing unknown passes for private.
 */
export function parseAccessList(path: string, output: string): readonly AccessEntry[] | undefined {
  const lines = output
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
  const [first = '', ...others] = lines;
  if (others.pop() !== ALL_DONE || !first.startsWith(`${path} `)) return undefined;
  if (!others.every((line) => /^\s/.test(line))) return undefined;
  const entries = [first.slice(path.length), ...others].map((line) => parseEntry(line.trim()));
  return entries.every((entry) => entry !== undefined) ? entries : undefined;
}

/**
 * Those who are given anything and are neither `user` nor the system, each once. A denial is not set off against what
 * another entry gives.
 *
 * @param user As `whoami` writes it: `machine\name`.
 */
export function foreignPrincipals(entries: readonly AccessEntry[], user: string): readonly string[] {
  const accepted = new Set([...ACCEPTED, user.toLowerCase()]);
  const foreign = entries
    .filter(({ allows }) => allows)
    .map(({ principal }) => principal)
    .filter((principal) => !accepted.has(principal.toLowerCase()));
  return [...new Set(foreign)];
}

/** The command that leaves a file, or a directory with what will be in it, to `user` alone. */
export function mendingCommand(
  path: string,
  options: { readonly user: string; readonly foreign: readonly string[]; readonly isDirectory: boolean },
): string {
  const rights = options.isDirectory ? '(OI)(CI)F' : 'F';
  // What is inherited goes by the first switch, what was given to the file itself by the second.
  const removed = options.foreign.map((principal) => ` "${asArgument(principal)}"`).join('');
  return `icacls "${path}" /inheritance:r /remove:g${removed} /grant:r "${options.user}:${rights}"`;
}

/** A SID has a star before it where `icacls` reads it. */
const asArgument = (principal: string): string => (/^S-1-/.test(principal) ? `*${principal}` : principal);

/** `principal:(mark)(mark)(rights)`, with `(DENY)` before the rights that are taken away. */
function parseEntry(line: string): AccessEntry | undefined {
  const match = /^([^:()]+):((?:\([A-Za-z,]+\))+)$/.exec(line);
  const [, principal, groups] = match ?? [];
  if (principal === undefined || groups === undefined) return undefined;
  const words = groups.slice(1, -1).split(')(');
  const rights = words.filter((word) => word !== 'DENY' && !INHERITANCE.has(word));
  if (rights.length !== 1) return undefined;
  const takesAll = rights[0] === 'N';
  const isLabel = principal.toLowerCase().startsWith(INTEGRITY_LABEL);
  return { principal, allows: !words.includes('DENY') && !takesAll && !isLabel };
}

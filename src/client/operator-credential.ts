import { open, type FileHandle } from 'node:fs/promises';
import { parseOperatorToken } from '../operators/token.js';
import { ClientError } from './client-error.js';

/** What an operator shows, and what it lets itself be shown first. */
export interface OperatorCredential {
  /** The whole token; secret. */
  readonly token: string;
  /** SHA-256 of the SubjectPublicKeyInfo of the root that the server must lead to, 32 bytes. */
  readonly ca: Buffer;
}

/** A token is 122 characters; what is much longer is another file. */
const MAX_FILE_BYTES = 4096;
const GROUP_AND_OTHERS = 0o077;

/** Throws `malformed` (a `DomainError`) for what is no token. */
export function operatorCredential(token: string): OperatorCredential {
  return { token, ca: parseOperatorToken(token).ca };
}

/**
 * Reads a token file: one line. Throws a usage error when the file cannot be read, is readable for others (its token
 * would have to count as known), or holds no token. The text of the file never stands in an error.
 */
export async function readTokenFile(path: string): Promise<OperatorCredential> {
  const file = await openTokenFile(path);
  try {
    await refuseForeignReaders(path, file);
    return operatorCredential(await readToken(path, file));
  } finally {
    await file.close();
  }
}

async function openTokenFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw new ClientError('usage', 'TOKEN_FILE_UNREADABLE', `the token file ${path} cannot be read`, {
      advice:
        'name your token file with --token-file or PALYRA_TOKEN_FILE; the service writes the first one to admin-token in its data directory',
      cause,
    });
  }
}

/** Looks at the open file, not at the path, which may change meanwhile. Windows has no such mode bits. */
async function refuseForeignReaders(path: string, file: FileHandle): Promise<void> {
  const { mode } = await file.stat();
  if (process.platform === 'win32' || (mode & GROUP_AND_OTHERS) === 0) return;
  throw new ClientError(
    'usage',
    'TOKEN_FILE_EXPOSED',
    `other users of this machine may open the token file ${path}`,
    {
      advice: `run: chmod 600 ${path}; if they may have read it, have the token replaced`,
    },
  );
}

async function readToken(path: string, file: FileHandle): Promise<string> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_FILE_BYTES + 1), 0, MAX_FILE_BYTES + 1, 0);
  const text = buffer.toString('utf8', 0, bytesRead).trim();
  buffer.fill(0);
  if (bytesRead <= MAX_FILE_BYTES && text !== '') return text;
  throw new ClientError('usage', 'TOKEN_FILE_MALFORMED', `${path} does not hold one operator token`, {
    advice: 'write the token, which begins with palyra1_, into the file as one line',
  });
}

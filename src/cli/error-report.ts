import type { Writable } from 'node:stream';
import { CommanderError } from 'commander';
import { ClientError, type ClientFailure } from '../client/client-error.js';
import { RemoteError, type RemoteCode } from '../client/remote-error.js';
import { SettingsError } from '../config/settings.js';
import { DomainError, type ErrorKind } from '../errors/domain-error.js';
import { EXIT_CODE, type ExitCode } from './exit-code.js';
import { printable, printableJson } from './terminal/printable-text.js';

/** What is told of a failure: what happened, and what to do. */
export interface ErrorReport {
  readonly exitCode: ExitCode;
  readonly reason: string;
  readonly message: string;
  readonly advice?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

const EXIT_OF_FAILURE: Record<ClientFailure, ExitCode> = {
  failed: EXIT_CODE.failed,
  usage: EXIT_CODE.usage,
  refused: EXIT_CODE.refused,
  unreachable: EXIT_CODE.unreachable,
  timeout: EXIT_CODE.timeout,
  interrupted: EXIT_CODE.interrupted,
};

const EXIT_OF_CODE: Partial<Record<RemoteCode, ExitCode>> = {
  INVALID_ARGUMENT: EXIT_CODE.usage,
  UNAUTHENTICATED: EXIT_CODE.refused,
  PERMISSION_DENIED: EXIT_CODE.refused,
  UNAVAILABLE: EXIT_CODE.unreachable,
};

const EXIT_OF_KIND: Partial<Record<ErrorKind, ExitCode>> = {
  malformed: EXIT_CODE.usage,
  unauthenticated: EXIT_CODE.refused,
  forbidden: EXIT_CODE.refused,
};

/** By the server's reason first, then by its code. The server's own message often says it already. */
const ADVICE: Readonly<Record<string, string>> = {
  ALREADY_DECIDED: 'see the decision with: palyra pairing show <request-id>',
  DEVICE_REVOKED: 'to let it pair again: palyra devices clear <device-id>',
  IDENTITY_CHANGED: 'compare the words; if the device really made a new key, approve with --replace-identity',
  IDENTITY_KEY_IN_USE: 'reject it; on the device: palyra pairing pair --new-identity',
  UNAUTHENTICATED: 'name a valid operator token with --token-file or PALYRA_TOKEN_FILE',
  PERMISSION_DENIED: 'ask an operator with a higher role',
  UNIMPLEMENTED: 'the service is of another version: update the older side',
  INTERNAL: 'look into the log of the service',
};

/** Prints one line on what happened and one on what to do (`--json`: one object), and returns the exit code. */
export function reportError(error: unknown, stderr: Writable, json: boolean): ExitCode {
  const report = describeError(error);
  if (json) {
    const { reason, ...rest } = report;
    stderr.write(`${printableJson({ error: reason, ...rest })}\n`);
    return report.exitCode;
  }
  for (const line of report.message.split('\n')) stderr.write(`${printable(line)}\n`);
  if (report.advice !== undefined) stderr.write(`${printable(report.advice)}\n`);
  return report.exitCode;
}

export function describeError(error: unknown): ErrorReport {
  if (error instanceof ClientError) {
    const { reason, message, advice, retryAfterMs } = error;
    const exitCode = EXIT_OF_FAILURE[error.failure];
    return { exitCode, reason, message, advice: advice ?? againText(retryAfterMs), retryAfterMs };
  }
  if (error instanceof RemoteError) return describeRemote(error);
  if (error instanceof SettingsError) {
    return { exitCode: EXIT_CODE.usage, reason: 'SETTINGS', message: error.message };
  }
  if (error instanceof DomainError) return describeDomain(error);
  if (error instanceof CommanderError) return describeUsage(error);
  return { exitCode: EXIT_CODE.failed, reason: 'UNEXPECTED', message: unexpectedText(error) };
}

function describeRemote(error: RemoteError): ErrorReport {
  return {
    exitCode: EXIT_OF_CODE[error.code] ?? EXIT_CODE.failed,
    reason: error.reason,
    message: error.message === '' ? error.code : error.message,
    advice: againText(error.retryAfterMs) ?? ADVICE[error.reason] ?? ADVICE[error.code],
    retryAfterMs: error.retryAfterMs,
  };
}

const againText = (retryAfterMs: number | undefined): string | undefined =>
  retryAfterMs === undefined ? undefined : `try again in ${Math.ceil(retryAfterMs / 1000)} s`;

function describeDomain(error: DomainError): ErrorReport {
  const { reason, message, retryAfterMs } = error;
  return { exitCode: EXIT_OF_KIND[error.kind] ?? EXIT_CODE.failed, reason, message, retryAfterMs };
}

function describeUsage(error: CommanderError): ErrorReport {
  return {
    exitCode: EXIT_CODE.usage,
    reason: 'USAGE',
    message: error.message.replace(/^error: /, ''),
    advice: 'see: palyra --help, or palyra <command> --help',
  };
}

function unexpectedText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : '';
  return `${error.message || error.name}${error.message.includes(code.trim()) ? '' : code}`;
}

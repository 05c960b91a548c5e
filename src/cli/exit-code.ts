/** Exit codes of the `palyra` command (docs/protocol.md, "Settings, files, commands"). */
export const EXIT_CODE = {
  done: 0,
  failed: 1,
  /** Wrong use or settings. */
  usage: 2,
  /** Rejected, wrong code, false server, no right to it. */
  refused: 3,
  unreachable: 4,
  /** `--timeout` passed. */
  timeout: 5,
  /** Ctrl-C. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT_CODE)[keyof typeof EXIT_CODE];

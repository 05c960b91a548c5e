import { ClientError } from '../../client/client-error.js';
import { pairDevice } from '../../client/device/pairing.js';
import { type Endpoint, requireEndpoint } from '../../client/grpc/endpoint.js';
import { CLIENT_KINDS, type ClientKind } from '../../identity/device-identity.js';
import { systemRandomBytes } from '../../random/random-bytes.js';
import type { CliContext } from '../cli-context.js';
import type { JsonOptions } from '../command-options.js';
import { startDeadline } from '../deadline.js';
import { DEFAULT_ENDPOINT } from '../default-endpoint.js';
import { deviceDirectory } from '../device-options.js';
import { environmentText } from '../environment-text.js';
import { promptSecret, readFirstLine } from '../terminal/secret-prompt.js';
import { pairingReporter } from './pairing-reporter.js';

export interface PairOptions extends JsonOptions {
  readonly endpoint?: string;
  readonly deviceDir?: string;
  readonly proofStdin?: boolean;
  readonly proof?: string;
  readonly allowInsecureProofArg?: boolean;
  readonly kind: string;
  readonly newIdentity?: boolean;
  readonly timeout?: string;
}

const RUN_AGAIN = 'run the same command again: it goes on where this one stopped, and needs no new code';

/** `palyra pairing pair`. */
export async function pair(context: CliContext, options: PairOptions): Promise<void> {
  requireOneProof(options);
  const clientKind = readKind(options.kind);
  const endpoint = options.endpoint === undefined ? undefined : requireEndpoint(options.endpoint);
  const deadline = startDeadline(context, options.timeout);
  const report = pairingReporter(context.output(options), () => context.clock.now());
  const progress = { saved: false };
  try {
    await pairDevice(
      {
        directory: deviceDirectory(context, options),
        askProof: async () => askProof(context, options),
        endpoint,
        defaultEndpoint: defaultEndpoint(context),
        clientKind,
        platform: `${process.platform}-${process.arch}`,
        newIdentity: options.newIdentity === true,
        signal: deadline.signal,
        clock: context.clock,
        random: systemRandomBytes,
      },
      (event) => {
        progress.saved ||= event.event === 'device';
        report(event);
      },
    );
  } catch (error) {
    throw progress.saved ? withAdvice(error) : error;
  } finally {
    deadline.clear();
  }
}

/** Once the pending record is saved, nothing is lost by stopping: say so. */
function withAdvice(error: unknown): unknown {
  const stopped =
    error instanceof ClientError && ['interrupted', 'timeout', 'unreachable'].includes(error.failure);
  if (!stopped) return error;
  return new ClientError(error.failure, error.reason, error.message, { advice: RUN_AGAIN, cause: error });
}

function requireOneProof(options: PairOptions): void {
  if (options.proof === undefined) return;
  if (options.allowInsecureProofArg !== true) {
    throw new ClientError(
      'usage',
      'PROOF_ARGUMENT',
      'others on this machine can read a code on the command line',
      {
        advice:
          'leave --proof out and type the code, or use --proof-stdin; --allow-insecure-proof-arg insists',
      },
    );
  }
  if (options.proofStdin === true) {
    throw new ClientError('usage', 'TWO_PROOFS', '--proof and --proof-stdin are both given', {
      advice: 'keep one of them',
    });
  }
}

async function askProof(context: CliContext, options: PairOptions): Promise<string> {
  if (options.proof !== undefined) return options.proof;
  const { stdin, stderr } = context.process;
  if (options.proofStdin === true) return readFirstLine(stdin);
  return promptSecret(stdin, stderr, 'Pairing code or link (not shown): ');
}

function readKind(text: string): ClientKind {
  const kind = CLIENT_KINDS.find((candidate) => candidate === text);
  if (kind !== undefined) return kind;
  throw new ClientError('usage', 'KIND', `--kind ${JSON.stringify(text)} is no kind of device`, {
    advice: `write one of ${CLIENT_KINDS.join(', ')}`,
  });
}

function defaultEndpoint(context: CliContext): Endpoint {
  return requireEndpoint(environmentText(context, 'PALYRA_ENDPOINT') ?? DEFAULT_ENDPOINT);
}

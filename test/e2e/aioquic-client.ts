import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../quic/aioquic/client.py', import.meta.url));
const PYTHON = fileURLToPath(new URL('../../.cache/aioquic/bin/python', import.meta.url));
/** What `scripts/setup-aioquic.mjs` writes last. */
const DONE = fileURLToPath(new URL('../../.cache/aioquic/installed.txt', import.meta.url));

export const isAioquicThere = existsSync(DONE);

export interface AioquicCall {
  readonly port: number;
  readonly server_name: string;
  /** PEM. */
  readonly roots: string;
  readonly chain: string | null;
  readonly key: string | null;
  /** The request, framed. */
  readonly frame: Buffer;
}

export interface AioquicReport {
  /** All that came on the stream. */
  readonly answer: Buffer;
  /** How the server ended the connection or the stream; null when it did not. */
  readonly ended: { readonly code?: number; readonly application?: boolean; readonly reset?: number } | null;
  readonly resumed: boolean;
  readonly early_data: boolean;
  /** Whether the server gave out a ticket. */
  readonly ticket: boolean;
}

/** `test/quic/aioquic/client.py`: a QUIC client that shares no code with our own. */
export class AioquicClient {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;
  #errors = '';

  constructor() {
    this.#child = spawn(PYTHON, [SCRIPT]);
    this.#child.stderr.on('data', (text: Buffer) => {
      this.#errors += text.toString();
    });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** One connection, one request in the flight that ends the handshake. */
  call(call: AioquicCall): Promise<AioquicReport> {
    return this.#ask('call', call);
  }

  /** The same, offering the ticket of the call before, with the request as early data. */
  resume(call: AioquicCall): Promise<AioquicReport> {
    return this.#ask('resume', call);
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }

  async #ask(op: string, call: AioquicCall): Promise<AioquicReport> {
    this.#child.stdin.write(`${JSON.stringify({ op, ...call, frame: call.frame.toString('base64') })}\n`);
    const line = await this.#answers.next();
    if (line.done === true) throw new Error(`the client ended: ${this.#errors}`);
    const report = JSON.parse(line.value) as AioquicReport & { answer: string };
    return { ...report, answer: Buffer.from(report.answer, 'base64') };
  }
}

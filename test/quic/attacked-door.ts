import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { QuicSettings } from '../../src/quic/quic-settings.js';
import { QuicClient } from '../../src/quic/quic-client.js';
import type { DoorFacts, DoorProcessRequest, DoorState } from './door-process.js';
import { RawPeer } from './raw-peer.js';

const LOADER = new URL('../store/typescript-loader.mjs', import.meta.url).href;
const SCRIPT = fileURLToPath(new URL('./door-process.ts', import.meta.url));

/** The parent's side of `door-process.ts`, and the devices that come to it. */
export class AttackedDoor {
  readonly #answers: AsyncIterator<string>;
  #errors = '';

  private constructor(
    private readonly child: ChildProcessWithoutNullStreams,
    private readonly openedFacts: { value: DoorFacts | undefined },
  ) {
    child.stderr.on('data', (text: Buffer) => {
      this.#errors += text.toString();
    });
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  static async open(devices: number, settings: Partial<QuicSettings>): Promise<AttackedDoor> {
    const child = spawn(process.execPath, ['--expose-gc', '--import', LOADER, SCRIPT], {
      env: { PATH: process.env['PATH'] },
    });
    const facts: { value: DoorFacts | undefined } = { value: undefined };
    const door = new AttackedDoor(child, facts);
    facts.value = (await door.ask({ op: 'open', devices, settings })) as DoorFacts;
    return door;
  }

  get facts(): DoorFacts {
    if (this.openedFacts.value === undefined) throw new Error('the door is not open');
    return this.openedFacts.value;
  }

  /** Everything that the process wrote to stderr: uncaught failures, warnings of unhandled rejections. */
  get errors(): string {
    return this.#errors;
  }

  async state(): Promise<DoorState> {
    return (await this.ask({ op: 'state' })) as DoorState;
  }

  /** The state once nothing of the attack is open any more; fails when that does not come to be within `ms`. */
  async quietState(ms = 10_000): Promise<DoorState> {
    const deadline = performance.now() + ms;
    for (;;) {
      const state = await this.state();
      if (state.handshakes === 0 && state.connections === 0) return state;
      if (performance.now() > deadline) {
        throw new Error(
          `still open: ${String(state.handshakes)} handshakes, ${String(state.connections)} connections`,
        );
      }
    }
  }

  /** A raw client from a loopback address, with the certificate of device `index`, or with none. */
  peer(options: { device?: number; from?: string; session?: Uint8Array } = {}): Promise<RawPeer> {
    const device = options.device === undefined ? undefined : this.facts.devices[options.device];
    const own = device && { chain: device.chain, key: device.key };
    const { from, session } = options;
    return RawPeer.open(
      this.facts.port,
      { roots: this.facts.roots, own },
      {
        trustDomain: this.facts.trustDomain,
        ...(from === undefined ? {} : { from }),
        ...(session === undefined ? {} : { session }),
      },
    );
  }

  /** A well-behaved client of device `index`. */
  async client(index: number): Promise<QuicClient> {
    const { port, roots, trustDomain, devices } = this.facts;
    const identity = devices[index];
    if (identity === undefined) throw new Error(`there is no device ${String(index)}`);
    return QuicClient.connect({
      host: '127.0.0.1',
      port,
      roots,
      trustDomain,
      identity,
      connectTimeoutMs: 10_000,
    });
  }

  close(): void {
    this.child.kill('SIGKILL');
  }

  private async ask(request: DoorProcessRequest): Promise<unknown> {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
    const line = await this.#answers.next();
    if (line.done === true) throw new Error(`the door's process ended: ${this.#errors}`);
    return JSON.parse(line.value);
  }
}

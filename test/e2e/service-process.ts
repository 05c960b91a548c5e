import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Endpoint, requireEndpoint } from '../../src/client/grpc/endpoint.js';
import { OperatorClient } from '../../src/client/operator-client.js';
import { operatorCredential } from '../../src/client/operator-credential.js';

const COMMAND = 'dist/cli/main.js';

/** Where a started service says it listens. */
interface ReadyEntry {
  readonly event: string;
  readonly grpc: string;
  readonly quic: string;
  readonly http: string;
}

/** The service as a user runs it: a process of its own, real sockets, a data directory of its own. */
export class ServiceProcess {
  #child: ChildProcess | undefined;
  #ready: ReadyEntry | undefined;
  /** Everything that all runs have written to stdout and stderr. */
  log = '';

  private constructor(
    readonly dataDir: string,
    private readonly settings: Readonly<Record<string, string>>,
  ) {}

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> {
    const service = new ServiceProcess(await mkdtemp(join(tmpdir(), 'palyra-e2e-')), settings);
    await service.run();
    return service;
  }

  /** Starts the process on its data directory; resolves when it says that it listens. */
  async run(): Promise<void> {
    const child = spawn(process.execPath, [COMMAND, 'serve'], {
      env: { ...systemEnvironment(), ...this.environment(), ...this.settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.stderr.on('data', (chunk: Buffer) => {
      this.log += chunk.toString('utf8');
    });
    this.#ready = await this.readyEntry(child);
  }

  /** Sends the signal and waits for the end; returns the exit code, null after SIGKILL. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) return null;
    this.#child = undefined;
    if (child.exitCode !== null) return child.exitCode;
    child.kill(signal);
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  }

  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.stop(signal);
    await this.run();
  }

  /** Ends the process and removes its data directory. */
  async remove(): Promise<void> {
    await this.stop('SIGKILL');
    await rm(this.dataDir, { recursive: true, force: true });
  }

  get grpc(): Endpoint {
    return requireEndpoint(this.ready.grpc);
  }

  get quic(): Endpoint {
    return requireEndpoint(this.ready.quic);
  }

  get http(): string {
    return `http://${this.ready.http}`;
  }

  async adminToken(): Promise<string> {
    return (await readFile(join(this.dataDir, 'admin-token'), 'utf8')).trim();
  }

  async operator(): Promise<OperatorClient> {
    return OperatorClient.connect(this.grpc, operatorCredential(await this.adminToken()));
  }

  private get ready(): ReadyEntry {
    if (this.#ready === undefined) throw new Error('the service is not running');
    return this.#ready;
  }

  /** Doors on ports that the system chooses. */
  private environment(): Record<string, string> {
    return {
      PALYRA_DATA_DIR: this.dataDir,
      PALYRA_GRPC_LISTEN: '127.0.0.1:0',
      PALYRA_QUIC_LISTEN: '127.0.0.1:0',
      PALYRA_HTTP_LISTEN: '127.0.0.1:0',
    };
  }

  private readyEntry(child: ChildProcess): Promise<ReadyEntry> {
    return new Promise((resolve, reject) => {
      child.once('exit', (code) => {
        reject(new Error(`the service ended with ${String(code)} before it was ready:\n${this.log}`));
      });
      if (child.stdout === null) throw new Error('the service has no stdout');
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.log += `${line}\n`;
        const entry = readEntry(line);
        if (entry?.event === 'ready') resolve(entry);
      });
    });
  }
}

function readEntry(line: string): ReadyEntry | undefined {
  return line.startsWith('{') ? (JSON.parse(line) as ReadyEntry) : undefined;
}

/** What a process needs of the machine, and nothing that would be a setting. */
export function systemEnvironment(): Record<string, string> {
  const names = ['PATH', 'HOME', 'TMPDIR', 'NODE_EXTRA_CA_CERTS', 'SYSTEMROOT'];
  const entries = names.map((name) => [name, process.env[name]] as const);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

import Database from 'better-sqlite3';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Endpoint, requireEndpoint } from '../../src/client/grpc/endpoint.js';
import { OperatorClient } from '../../src/client/operator-client.js';
import { operatorCredential } from '../../src/client/operator-credential.js';
import { type Store, openStore } from '../../src/database/open-store.js';

export const COMMAND = 'dist/cli/main.js';

/** Where a started service says it listens. */
interface ReadyEntry {
  readonly event: string;
  readonly grpc: string;
  readonly quic: string;
  readonly http: string;
}

export type Settings = Readonly<Record<string, string>>;

/** The service as a user runs it: a process of its own, real sockets, a data directory of its own. */
export class ServiceProcess {
  #child: ChildProcess | undefined;
  #ready: ReadyEntry | undefined;
  readonly #operators: OperatorClient[] = [];
  /** Everything that all runs have written to stdout and stderr. */
  log = '';

  private constructor(
    readonly dataDir: string,
    private readonly settings: Settings,
  ) {}

  static async start(settings: Settings = {}): Promise<ServiceProcess> {
    const service = await ServiceProcess.prepare(settings);
    await service.run();
    return service;
  }

  /** A data directory in which nothing has run yet. */
  static async prepare(settings: Settings = {}): Promise<ServiceProcess> {
    return new ServiceProcess(await mkdtemp(join(tmpdir(), 'palyra-e2e-')), settings);
  }

  /**
   * Starts the process on its data directory; resolves when it says that it listens. The first run lets the system
   * choose the ports, later ones keep them, since devices know them by then.
   */
  async run(): Promise<void> {
    const child = spawn(process.execPath, [COMMAND, 'serve'], {
      env: { ...systemEnvironment(), ...this.environment(), ...this.settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    endWithThisProcess(child);
    this.#child = child;
    child.stderr.on('data', (chunk: Buffer) => {
      this.log += chunk.toString('utf8');
    });
    this.#ready = await this.readyEntry(child);
  }

  /** Sends the signal and waits for the end; returns the exit code, null after SIGKILL. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    for (const operator of this.#operators.splice(0)) operator.close();
    const child = this.#child;
    if (child === undefined) return null;
    this.#child = undefined;
    if (child.exitCode !== null) return child.exitCode;
    child.kill(signal);
    // `close` comes after `exit`, when the last of the log has been read.
    const [code] = (await once(child, 'close')) as [number | null];
    return code;
  }

  /** Returns how the earlier run ended. */
  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const code = await this.stop(signal);
    await this.run();
    return code;
  }

  /** Ends the process and removes its data directory. */
  async remove(): Promise<void> {
    await this.stop('SIGKILL');
    await rm(this.dataDir, { recursive: true, force: true });
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
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

  /** The log as it was written, one object a line. */
  get logEntries(): Readonly<Record<string, unknown>>[] {
    const lines = this.log.split('\n').filter((line) => line.startsWith('{'));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async adminToken(): Promise<string> {
    return (await readFile(join(this.dataDir, 'admin-token'), 'utf8')).trim();
  }

  /** A client with the first admin's token; ends with this run. */
  async operator(): Promise<OperatorClient> {
    const operator = await OperatorClient.connect(this.grpc, operatorCredential(await this.adminToken()));
    this.#operators.push(operator);
    return operator;
  }

  /** Opens the store as the service does; only while it is not running. */
  async withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
    const store = await openStore({ dataDir: this.dataDir, masterKey: { kind: 'default-key-file' } });
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  }

  /** What is committed: every table with its rows in their order, each as JSON text with bytes in hex. */
  tables(): Record<string, string[]> {
    const database = new Database(join(this.dataDir, 'palyra.db'), { readonly: true });
    try {
      const names = database
        .prepare<[], { name: string }>(`SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`)
        .all();
      const rows = (name: string): string[] => database.prepare(`SELECT * FROM "${name}"`).all().map(rowText);
      return Object.fromEntries(names.map(({ name }) => [name, rows(name)]));
    } finally {
      database.close();
    }
  }

  private get ready(): ReadyEntry {
    if (this.#ready === undefined) throw new Error('the service is not running');
    return this.#ready;
  }

  private environment(): Record<string, string> {
    const anyPort = '127.0.0.1:0';
    return {
      PALYRA_DATA_DIR: this.dataDir,
      PALYRA_GRPC_LISTEN: this.#ready?.grpc ?? anyPort,
      PALYRA_QUIC_LISTEN: this.#ready?.quic ?? anyPort,
      PALYRA_HTTP_LISTEN: this.#ready?.http ?? anyPort,
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

function rowText(row: unknown): string {
  return JSON.stringify(row, (_key, value: unknown) => {
    const bytes = value as { type?: unknown; data?: number[] } | null;
    return bytes?.type === 'Buffer' ? Buffer.from(bytes.data ?? []).toString('hex') : value;
  });
}

/** What a process needs of the machine, and nothing that would be a setting. */
export function systemEnvironment(): Record<string, string> {
  const names = ['PATH', 'HOME', 'TMPDIR', 'NODE_EXTRA_CA_CERTS', 'SYSTEMROOT'];
  const entries = names.map((name) => [name, process.env[name]] as const);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** A test that was cut off leaves no process behind. */
export function endWithThisProcess(child: ChildProcess): void {
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
}

/** Resolves when what it checks is fit for work; throws or rejects otherwise. What it throws is not shown. */
export type ReadinessCheck = () => unknown;

export interface ReadinessReport {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, 'ok' | 'failed'>>;
}

/** A check that has not answered within this time has failed. */
const CHECK_TIMEOUT_MS = 2_000;

/** Whether this process should be sent work: every named check passes, and nobody has asked it to go. */
export class Readiness {
  readonly #checks = new Map<string, ReadinessCheck>();
  #running: Promise<ReadinessReport> | undefined;
  #draining = false;

  /** @param observe Learns of each result; for metrics. */
  constructor(private readonly observe: (check: string, passed: boolean) => void = () => undefined) {}

  add(name: string, check: ReadinessCheck): void {
    this.#checks.set(name, check);
  }

  /** From now on not ready: the process is about to end. */
  drain(): void {
    this.#draining = true;
  }

  /** Those who ask while checks run share their result, so that asking often costs no more. */
  report(): Promise<ReadinessReport> {
    this.#running ??= this.run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  private async run(): Promise<ReadinessReport> {
    const results = await Promise.all(
      [...this.#checks].map(async ([name, check]) => [name, await passes(check)] as const),
    );
    const all = [...results, ['serving', this.#checks.size > 0 && !this.#draining] as const];
    for (const [name, passed] of all) {
      this.observe(name, passed);
    }
    return {
      ready: all.every(([, passed]) => passed),
      checks: Object.fromEntries(all.map(([name, passed]) => [name, passed ? 'ok' : 'failed'])),
    };
  }
}

async function passes(check: ReadinessCheck): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, CHECK_TIMEOUT_MS, false);
  });
  const result = Promise.resolve()
    .then(check)
    .then(
      () => true,
      () => false,
    );
  try {
    return await Promise.race([result, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

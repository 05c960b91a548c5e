import { DomainError } from '../errors/domain-error.js';

/** Resolves when what it checks is fit for work; throws or rejects otherwise. Of what it throws only the reason is shown. */
export type ReadinessCheck = () => unknown;

export interface ReadinessReport {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, 'ok' | 'failed'>>;
  /** Why a check failed, as far as there is a word for it (docs/errors.md). */
  readonly reasons?: Readonly<Record<string, string>>;
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
      [...this.#checks].map(async ([name, check]) => ({ name, ...(await resultOf(check)) })),
    );
    const all: CheckResult[] = [
      ...results,
      { name: 'serving', passed: this.#checks.size > 0 && !this.#draining },
    ];
    for (const { name, passed } of all) {
      this.observe(name, passed);
    }
    const reasons = all.flatMap(({ name, reason }) =>
      reason === undefined ? [] : [[name, reason] as const],
    );
    return {
      ready: all.every(({ passed }) => passed),
      checks: Object.fromEntries(all.map(({ name, passed }) => [name, passed ? 'ok' : 'failed'])),
      ...(reasons.length === 0 ? {} : { reasons: Object.fromEntries(reasons) }),
    };
  }
}

interface CheckResult {
  readonly name: string;
  readonly passed: boolean;
  readonly reason?: string | undefined;
}

type Outcome = Omit<CheckResult, 'name'>;

async function resultOf(check: ReadinessCheck): Promise<Outcome> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<Outcome>((resolve) => {
    timer = setTimeout(resolve, CHECK_TIMEOUT_MS, { passed: false });
  });
  const result = Promise.resolve()
    .then(check)
    .then(
      (): Outcome => ({ passed: true }),
      (error: unknown): Outcome => ({
        passed: false,
        reason: error instanceof DomainError ? error.reason : undefined,
      }),
    );
  try {
    return await Promise.race([result, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

import { DomainError } from '../errors/domain-error.js';

/** How long a unit may hold the queue, milliseconds. Units take well under one; this is for those that never end. */
export const UNIT_TIME_LIMIT_MS = 5_000;

/**
 * The life of one unit of work: its operations are counted while it is open, and refused when it is over. So nothing
 * that a unit started and did not wait for can end up in the unit that comes after it.
 */
export class UnitScope {
  #open = true;
  #running = 0;
  #whenIdle: (() => void) | undefined;

  /** Runs one operation of the unit. Throws `UNIT_ENDED` after its end. */
  async operation<T>(run: () => Promise<T>): Promise<T> {
    this.requireOpen();
    this.#running += 1;
    try {
      return await run();
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#whenIdle?.();
    }
  }

  requireOpen(): void {
    if (this.#open) return;
    throw new DomainError(
      'internal',
      'UNIT_ENDED',
      'A unit of work was used after its end: await every operation inside `run`.',
    );
  }

  /** Ends the unit and waits until what it began has come back. Returns whether anything was still under way. */
  async end(): Promise<boolean> {
    this.#open = false;
    if (this.#running === 0) return false;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
    return true;
  }
}

/**
 * Runs `work` and ends its scope. Rejects with what `work` threw; with `UNIT_UNFINISHED` if it returned while an
 * operation was under way; with `UNIT_TIMED_OUT` if it held the queue for more than `limitMs`.
 *
 * The time limit is how a `run` inside a `run` is found out: the inner one waits in the queue behind the outer one, which
 * waits for it. Following the asynchronous context instead would make every `await` of the process dearer.
 */
export async function runInScope<T>(scope: UnitScope, work: () => Promise<T>, limitMs: number): Promise<T> {
  const limit = new TimeLimit(limitMs);
  try {
    const value = await Promise.race([work(), limit.passed]);
    if (await scope.end()) throw unfinished();
    return value;
  } finally {
    limit.clear();
    await scope.end();
  }
}

class TimeLimit {
  readonly passed: Promise<never>;
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number) {
    this.passed = new Promise<never>((_resolve, reject) => {
      this.#timer = setTimeout(() => {
        reject(timedOut(limitMs));
      }, limitMs);
    });
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

function timedOut(limitMs: number): DomainError {
  return new DomainError(
    'internal',
    'UNIT_TIMED_OUT',
    `A unit of work did not end within ${limitMs} ms and was undone. Inside it nothing but the database may be awaited, ` +
      'and above all no other unit of work: that one waits for this one.',
  );
}

function unfinished(): DomainError {
  return new DomainError(
    'internal',
    'UNIT_UNFINISHED',
    'A unit of work returned while an operation of it was under way, and was undone: await every operation.',
  );
}

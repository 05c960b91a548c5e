import type { Clock } from '../time/clock.js';

const MINUTE_MS = 60_000;

/**
 * Bounds the lines that one cause may write in a minute, so that whoever brings it about at will cannot fill the disk. Once
 * a minute it tells how many lines of a cause were left out.
 */
export class LineAllowance<Cause> {
  readonly #lines = new Map<Cause, number>();
  #minuteBegan: number;

  constructor(
    private readonly perMinute: number,
    private readonly clock: Pick<Clock, 'monotonic'>,
    private readonly leftOut: (cause: Cause, lines: number) => void,
  ) {
    this.#minuteBegan = clock.monotonic();
  }

  /** Whether one more line may be written; counts it. There must be a bound on how many causes there are. */
  mayWrite(cause: Cause): boolean {
    this.#beginMinute();
    const lines = (this.#lines.get(cause) ?? 0) + 1;
    this.#lines.set(cause, lines);
    return lines <= this.perMinute;
  }

  #beginMinute(): void {
    const now = this.clock.monotonic();
    if (now - this.#minuteBegan < MINUTE_MS) return;
    this.#minuteBegan = now;
    for (const [cause, lines] of this.#lines) {
      if (lines > this.perMinute) this.leftOut(cause, lines - this.perMinute);
    }
    this.#lines.clear();
  }
}

/** Where finished lines go. */
export interface LineSink {
  write(line: string): unknown;
}

/** What is gathered at most, characters; more is written at once. */
const MAX_PENDING = 64 * 1024;

/**
 * Gathers the lines of one turn of the event loop and writes them at once: writing to a pipe is a system call that the
 * process waits for, and a busy service logs several lines a turn. Lines are kept in order, and none waits longer than
 * the turn; whoever ends the process calls {@link flush} first.
 */
export class LineBuffer implements LineSink {
  #pending = '';
  #isScheduled = false;

  constructor(private readonly sink: LineSink) {}

  write(line: string): void {
    this.#pending += line;
    if (this.#pending.length >= MAX_PENDING) {
      this.flush();
      return;
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.#pending === '') return;
    const lines = this.#pending;
    this.#pending = '';
    this.sink.write(lines);
  }
}

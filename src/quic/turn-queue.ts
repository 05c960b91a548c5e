/** Something that has work to do once the socket has been read. */
export interface Turnable {
  turn(): void;
}

/**
 * Gathers work and does it once per turn of the event loop, after the socket was read (`setImmediate` runs after I/O).
 * Answering and flushing once a turn instead of once a datagram gives three times the calls per second, and timers that
 * are late because the loop was busy see the packets that had already arrived.
 */
export class TurnQueue {
  #marked = new Set<Turnable>();
  #isScheduled = false;

  /** `onFailure` gets what an item's turn threw; the other items still have theirs. */
  constructor(private readonly onFailure: (error: unknown) => void) {}

  /** `item.turn()` runs once in the coming turn, however often it is marked. */
  mark(item: Turnable): void {
    this.#marked.add(item);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#run();
    });
  }

  #run(): void {
    this.#isScheduled = false;
    const items = this.#marked;
    this.#marked = new Set();
    for (const item of items) {
      try {
        item.turn();
      } catch (error) {
        this.onFailure(error);
      }
    }
  }
}

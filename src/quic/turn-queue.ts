/** Something that has work to do once the socket has been read. Neither method should throw. */
export interface Turnable {
  /** Takes in what has come, and does what is due. */
  turn(): void;
  /** Sends what there is to send. */
  flush(): void;
}

/**
 * Gathers work and does it once per turn of the event loop, after the socket was read (`setImmediate` runs after I/O).
 * Answering and flushing once a turn instead of once a datagram gives three times the calls per second, and timers that
 * are late because the loop was busy see the packets that had already arrived.
 *
 * A turn has two halves: first every item takes in what has come, then, when the promises that this settled have run
 * their course, every item sends. So an answer that needs no I/O leaves in one packet with the acknowledgement of its
 * request, instead of in one of its own.
 */
export class TurnQueue {
  #marked = new Set<Turnable>();
  #toFlush = new Set<Turnable>();
  #isScheduled = false;
  #isFlushScheduled = false;

  /** `onFailure` gets what an item's turn threw; the other items still have theirs. */
  constructor(private readonly onFailure: (error: unknown) => void) {}

  /** `item.turn()` and then `item.flush()` run once in the coming turn, however often it is marked. */
  mark(item: Turnable): void {
    this.#marked.add(item);
    this.#schedule();
  }

  /** `item.flush()` alone runs, with the second half of this turn if that has not come yet. */
  markToFlush(item: Turnable): void {
    this.#toFlush.add(item);
    if (!this.#isFlushScheduled) this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#takeIn();
    });
  }

  #takeIn(): void {
    this.#isScheduled = false;
    const items = this.#marked;
    this.#marked = new Set();
    this.#isFlushScheduled = true;
    for (const item of items) {
      this.#toFlush.add(item);
      this.#guard(() => {
        item.turn();
      });
    }
    // What a microtask puts into the queue of ticks runs when no microtask is left (Node's order of the two queues).
    queueMicrotask(() => {
      process.nextTick(() => {
        this.#flush();
      });
    });
  }

  #flush(): void {
    const items = this.#toFlush;
    this.#toFlush = new Set();
    this.#isFlushScheduled = false;
    for (const item of items) {
      this.#guard(() => {
        item.flush();
      });
    }
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.onFailure(error);
    }
  }
}

/** Called after a commit with the audit sequence it reached. Must not throw; what it throws becomes a process warning. */
export type CommitListener = (sequence: number) => void;

/** Tells those in the process who follow the change log that there is something new. */
export class CommitFeed {
  readonly #listeners = new Set<CommitListener>();
  #announced = 0;

  /** Returns a function that ends the subscription. */
  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Commits that added nothing to the change log are not announced. */
  announce(sequence: number): void {
    if (sequence <= this.#announced) return;
    this.#announced = sequence;
    for (const listener of this.#listeners) call(listener, sequence);
  }
}

/** The commit stands, whatever a listener makes of it. */
function call(listener: CommitListener, sequence: number): void {
  try {
    listener(sequence);
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : new Error(String(error)));
  }
}

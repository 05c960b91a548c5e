/**
 * Whether there was something new since one last looked, for those who follow the change log. `listen` calls its argument
 * whenever there is, and returns what ends that.
 */
export class News {
  #wake: (() => void) | undefined;
  #fresh = false;
  readonly #end: () => void;
  readonly #onAbort = (): void => {
    this.#wake?.();
  };

  constructor(
    listen: (wake: () => void) => () => void,
    private readonly signal: AbortSignal,
  ) {
    this.#end = listen(() => {
      this.#fresh = true;
      this.#wake?.();
    });
    signal.addEventListener('abort', this.#onAbort);
  }

  /** Resolves at once when something came since the last call, else when it does, at abort, or after so long. */
  async next(milliseconds: number): Promise<void> {
    if (!this.#fresh && !this.signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wake = undefined;
    this.#fresh = false;
  }

  close(): void {
    this.#end();
    this.signal.removeEventListener('abort', this.#onAbort);
  }
}

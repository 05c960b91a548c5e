import type { StoreProgress } from '../../generated/palyra/controlplane/v1/store.js';
import type { Output } from '../terminal/output.js';

/** Says on stderr how far something is, once for each tenth of it. */
export class ProgressLine {
  #tenths = 0;

  constructor(private readonly output: Output) {}

  show(what: string, { recordsDone, recordsTotal }: StoreProgress): void {
    const tenths = recordsTotal === 0n ? 0 : Math.min(10, Number((recordsDone * 10n) / recordsTotal));
    if (tenths <= this.#tenths) return;
    this.#tenths = tenths;
    this.output.progress(`${String(recordsDone)} of ${String(recordsTotal)} ${what}`);
  }
}

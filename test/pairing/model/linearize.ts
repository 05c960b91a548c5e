import { type Memory, type ModelState, type Operation, stepsOf } from './pairing-model.js';

/** What an operation that ran with others came to. */
export interface Ran {
  readonly operation: Operation;
  readonly outcome: string;
}

/** How far the search has come with one operation. */
interface Progress {
  readonly position: number;
  readonly memory: Memory;
  readonly isOver: boolean;
}

/**
 * The states in which the model may be after operations that ran at once: one for each order of their steps that gives
 * every operation the outcome that it really had. None means that no order explains what happened.
 */
export function explanations(before: ModelState, ran: readonly Ran[]): ModelState[] {
  const start = ran.map((): Progress => ({ position: 0, memory: {}, isOver: false }));
  return [...search(before, ran, start)];
}

function* search(
  state: ModelState,
  ran: readonly Ran[],
  progress: readonly Progress[],
): Generator<ModelState> {
  if (progress.every(({ isOver }) => isOver)) yield state;
  for (const [index, { operation, outcome }] of ran.entries()) {
    const mine = progress[index];
    const step = stepsOf(operation)[mine?.position ?? 0];
    if (mine === undefined || mine.isOver || step === undefined) continue;
    const after = structuredClone(state);
    const memory = { ...mine.memory };
    const result = step(after, memory);
    if (result !== undefined && result !== outcome) continue;
    const next = { position: mine.position + 1, memory, isOver: result !== undefined };
    yield* search(after, ran, progress.with(index, next));
  }
}

import { type ClockState, GetClockResponse } from '../../generated/palyra/controlplane/v1/clock.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';

/** `palyra clock show`. */
export async function showClock(context: CliContext, options: OperatorOptions): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output }) => {
    const response = await client.getClock();
    output.object(GetClockResponse.toJSON(response));
    output.fields(clockFields(response.clock));
  });
}

export function clockFields(clock: ClockState | undefined): [string, string][] {
  return [
    ['time', clock?.time?.toISOString() ?? ''],
    ['highest audited', clock?.highestTime?.toISOString() ?? ''],
    ['believed', believedText(clock)],
  ];
}

function believedText(clock: ClockState | undefined): string {
  if (clock === undefined || clock.doubt === '') return 'yes';
  return `no: ${clock.doubt}, ${String(clock.deviation?.seconds ?? 0n)} s; nothing is issued or removed`;
}

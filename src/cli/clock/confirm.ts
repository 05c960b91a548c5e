import { ConfirmClockResponse } from '../../generated/palyra/controlplane/v1/clock.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';
import { clockFields } from './show.js';

export interface ClockConfirmOptions extends OperatorOptions {
  readonly reason?: string;
  readonly ignoreOwnClock?: boolean;
}

/** `palyra clock confirm`: sends what the clock of this machine says, so that two wrong ones have to agree. */
export async function confirmClock(context: CliContext, options: ClockConfirmOptions): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const response = await client.confirmClock({
      reason: options.reason ?? '',
      ...(options.ignoreOwnClock === true ? {} : { adminTime: new Date(now) }),
    });
    output.object(ConfirmClockResponse.toJSON(response));
    output.fields(clockFields(response.clock));
  });
}

import type { Command } from 'commander';
import type { CliContext } from '../cli-context.js';
import { type OperatorOptions, withOperator } from '../command-options.js';
import type { DeviceListOptions } from './list.js';

interface ReasonOptions extends OperatorOptions {
  readonly reason?: string;
}

export function addDevicesCommands(program: Command, context: CliContext): void {
  const devices = program.command('devices').description('devices that were let in');
  withOperator(devices.command('list'))
    .description('list devices')
    .option('--state <state>', 'only active, suspended or revoked')
    .action(async (options: DeviceListOptions) => {
      const { listDevices } = await import('./list.js');
      await listDevices(context, options);
    });
  withOperator(devices.command('show <device-id>'))
    .description('show one device')
    .action(async (deviceId: string, options: OperatorOptions) => {
      const { showDevice } = await import('./show.js');
      await showDevice(context, deviceId, options);
    });
  withOperator(devices.command('revoke <device-id>'))
    .description('cut a device off at once; its id and key are refused until cleared')
    .option('--reason <text>', 'why; kept in the audit log')
    .action(async (deviceId: string, options: ReasonOptions) => {
      const { revokeDevice } = await import('./revoke.js');
      await revokeDevice(context, deviceId, options);
    });
  withOperator(devices.command('clear <device-id>'))
    .description('let a revoked device pair again, or end a suspension')
    .option('--reason <text>', 'why; kept in the audit log')
    .action(async (deviceId: string, options: ReasonOptions) => {
      const { clearDevice } = await import('./clear.js');
      await clearDevice(context, deviceId, options);
    });
}

import type { Command } from 'commander';
import type { CliContext } from '../cli-context.js';
import { withJson } from '../command-options.js';
import type { NodeEventsOptions } from './node-events.js';
import type { NodeHealthOptions } from './node-health.js';
import type { NodeRegisterOptions } from './node-presence.js';
import type { NodeRenewOptions } from './node-renew.js';
import type { NodeOptions } from './node-session.js';

/** `palyra node …`: what a paired device does. */
export function addNodeCommands(program: Command, context: CliContext): void {
  const node = program.command('node').description('what a paired device does');
  onDevice(node.command('health'))
    .description('call node.health over QUIC with the certificate of this device')
    .option('--watch', 'keep the connection and ask every second until it ends')
    .action(async (options: NodeHealthOptions) => {
      const { nodeHealth } = await import('./node-health.js');
      await nodeHealth(context, options);
    });
  onDevice(node.command('renew'), 'gRPC endpoint (those told at pairing)')
    .description('get a new certificate for this device, also when the one it has is expired')
    .action(async (options: NodeRenewOptions) => {
      const { nodeRenew } = await import('./node-renew.js');
      await nodeRenew(context, options);
    });
  onDevice(node.command('events'))
    .description('tell what is decided about this device until the connection ends, and take over new roots')
    .option('--resume-from <seq>', 'the last event that is known; those behind it are told')
    .action(async (options: NodeEventsOptions) => {
      const { nodeEvents } = await import('./node-events.js');
      await nodeEvents(context, options);
    });
  onDevice(node.command('register'))
    .description('tell the service what this device is and can do')
    .option('--platform <text>', 'at most 64 bytes (the system and processor)')
    .option('--capability <word...>', 'lower-case words, at most 32')
    .action(async (options: NodeRegisterOptions) => {
      const { nodeRegister } = await import('./node-presence.js');
      await nodeRegister(context, options);
    });
  onDevice(node.command('heartbeat'))
    .description('say once that this device is there')
    .action(async (options: NodeOptions) => {
      const { nodeHeartbeat } = await import('./node-presence.js');
      await nodeHeartbeat(context, options);
    });
}

function onDevice(command: Command, endpoint = 'QUIC endpoint (the one told at pairing)'): Command {
  return withJson(command)
    .option('--endpoint <host:port>', endpoint)
    .option('--device-dir <path>', 'device store (PALYRA_DEVICE_DIR; ~/.palyra/device)')
    .option('--timeout <duration>', 'give up after this long, for example 10s');
}

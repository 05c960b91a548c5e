import { Controller, Inject } from '@nestjs/common';
import { Ctx, MessagePattern } from '@nestjs/microservices';
import type { QuicContext } from './quic-context.js';
import type { NodeHealth, NodeHealthService } from './node-health.js';
import { NODE_HEALTH } from './node-health.js';
import { QUIC } from './transport-id.js';

/** Node RPC: methods that a paired device calls over QUIC. */
@Controller()
export class NodeRpcController {
  constructor(@Inject(NODE_HEALTH) private readonly nodeHealth: NodeHealthService) {}

  @MessagePattern('node.health', QUIC)
  health(@Ctx() context: QuicContext): NodeHealth {
    return this.nodeHealth.healthFor(context.deviceId);
  }
}

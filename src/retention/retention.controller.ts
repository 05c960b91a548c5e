import { Controller } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { PruneStoreRequest, PruneStoreResponse } from '../generated/palyra/controlplane/v1/prune.js';
import { Retention } from './retention.js';

/** Pruning, as admins ask for it. */
@Controller()
export class RetentionController {
  constructor(private readonly retention: Retention) {}

  @GrpcMethod('ControlPlane', 'pruneStore')
  async pruneStore({ dryRun }: PruneStoreRequest): Promise<PruneStoreResponse> {
    const results = dryRun ? await this.retention.plan() : await this.retention.run();
    const pruned = results.map(({ what, count, keptForMs }) => ({
      what,
      records: BigInt(count),
      keptFor: { seconds: BigInt(Math.trunc(keptForMs / 1000)), nanos: 0 },
    }));
    return { pruned };
  }
}

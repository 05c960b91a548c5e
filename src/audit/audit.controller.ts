import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { Metadata, ServerWritableStream } from '@grpc/grpc-js';
import type { Observable } from 'rxjs';
import type { Store } from '../database/open-store.js';
import type {
  ExportAuditRequest,
  ExportAuditResponse,
} from '../generated/palyra/controlplane/v1/control_plane.js';
import { writeStream } from '../grpc/write-stream.js';
import { STORE } from '../runtime.js';
import { exportItemToProto } from './audit-messages.js';

/** The audit log's part of ControlPlane. */
@Controller()
export class AuditController {
  constructor(@Inject(STORE) private readonly store: Store) {}

  @GrpcMethod('ControlPlane', 'exportAudit')
  exportAudit(
    request: ExportAuditRequest,
    _metadata: Metadata,
    call: ServerWritableStream<ExportAuditRequest, ExportAuditResponse>,
  ): Observable<never> {
    return writeStream(call, this.items(numberOf(request.afterSequence)));
  }

  private async *items(after: number): AsyncGenerator<ExportAuditResponse> {
    for await (const item of this.store.auditLog.export({ after })) yield exportItemToProto(item);
  }
}

/** No entry has a number beyond 2^53 − 1, so that what is larger asks for the head alone, as that number does. */
function numberOf(sequence: bigint): number {
  return Number(sequence > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : sequence);
}

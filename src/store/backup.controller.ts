import type { Metadata, ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { Controller } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import type {
  BackupStoreRequest,
  BackupStoreResponse,
  ConfirmRestoreRequest,
  ConfirmRestoreResponse,
} from '../generated/palyra/controlplane/v1/backup.js';
import { operatorOf } from '../grpc/caller-of-call.js';
import { parseReason } from '../grpc/paging.js';
import { writeStream } from '../grpc/write-stream.js';
import type { OperatorCaller } from '../operators/caller.js';
import { backupItemToProto } from './backup-messages.js';
import { Quarantine } from './quarantine.js';
import { StoreBackups } from './store-backups.js';

/** Backup and the end of a restore: their part of ControlPlane. */
@Controller()
export class BackupController {
  constructor(
    private readonly backups: StoreBackups,
    private readonly quarantine: Quarantine,
  ) {}

  @GrpcMethod('ControlPlane', 'backupStore')
  backupStore(
    _request: BackupStoreRequest,
    _metadata: Metadata,
    call: ServerWritableStream<BackupStoreRequest, BackupStoreResponse>,
  ): Observable<never> {
    return writeStream(call, this.backup(operatorOf(call)));
  }

  @GrpcMethod('ControlPlane', 'confirmRestore')
  async confirmRestore(
    request: ConfirmRestoreRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<ConfirmRestoreRequest, ConfirmRestoreResponse>,
  ): Promise<ConfirmRestoreResponse> {
    await this.quarantine.confirm(operatorOf(call), parseReason(request.reason));
    return {};
  }

  private async *backup(caller: OperatorCaller): AsyncGenerator<BackupStoreResponse> {
    for await (const item of this.backups.make(caller)) yield backupItemToProto(item);
  }
}

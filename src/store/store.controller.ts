import type { Metadata, ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import type { Store } from '../database/open-store.js';
import type { KeyChangeBy } from '../database/store-keyring.js';
import type {
  RekeyStoreDataRequest,
  RekeyStoreDataResponse,
  RekeyStoreRequest,
  RekeyStoreResponse,
  VerifyStoreRequest,
  VerifyStoreResponse,
} from '../generated/palyra/controlplane/v1/store.js';
import { operatorOf } from '../grpc/caller-of-call.js';
import { parseReason } from '../grpc/paging.js';
import { writeStream } from '../grpc/write-stream.js';
import { STORE } from '../runtime.js';
import { DataKeyChange } from './data-key-change.js';
import {
  dataKeyFindingToProto,
  dataKeyProgressToProto,
  dataKeyResultToProto,
  keyChangeBy,
  keyInForceToProto,
  verificationItemToProto,
} from './store-messages.js';

/** The store's part of ControlPlane. */
@Controller()
export class StoreController {
  constructor(
    @Inject(STORE) private readonly store: Store,
    private readonly dataKeyChange: DataKeyChange,
  ) {}

  @GrpcMethod('ControlPlane', 'rekeyStore')
  async rekeyStore(
    { prepared, reason }: RekeyStoreRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<RekeyStoreRequest, RekeyStoreResponse>,
  ): Promise<RekeyStoreResponse> {
    const by = keyChangeBy(operatorOf(call), parseReason(reason));
    return keyInForceToProto(await this.store.keyring.rekey({ prepared }, by));
  }

  @GrpcMethod('ControlPlane', 'rekeyStoreData')
  rekeyStoreData(
    { reason }: RekeyStoreDataRequest,
    _metadata: Metadata,
    call: ServerWritableStream<RekeyStoreDataRequest, RekeyStoreDataResponse>,
  ): Observable<never> {
    const by = keyChangeBy(operatorOf(call), parseReason(reason));
    return writeStream(call, this.dataRekey(by));
  }

  @GrpcMethod('ControlPlane', 'verifyStore')
  verifyStore(
    _request: VerifyStoreRequest,
    _metadata: Metadata,
    call: ServerWritableStream<VerifyStoreRequest, VerifyStoreResponse>,
  ): Observable<never> {
    return writeStream(call, this.verification());
  }

  private async *dataRekey(by: KeyChangeBy): AsyncGenerator<RekeyStoreDataResponse> {
    const run = await this.dataKeyChange.start(by);
    while (!run.isOver) {
      const { progress } = run;
      if (progress !== undefined) yield dataKeyProgressToProto(progress);
      await run.changed();
    }
    const result = await run.result;
    for (const finding of result.findings) yield dataKeyFindingToProto(finding);
    yield dataKeyResultToProto(result);
  }

  private async *verification(): AsyncGenerator<VerifyStoreResponse> {
    for await (const item of this.store.verifyRecords()) yield verificationItemToProto(item);
  }
}

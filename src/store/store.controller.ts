import type { Metadata, ServerWritableStream } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import type { Store } from '../database/open-store.js';
import type { VerifyStoreRequest, VerifyStoreResponse } from '../generated/palyra/controlplane/v1/store.js';
import { writeStream } from '../grpc/write-stream.js';
import { STORE } from '../runtime.js';
import { verificationItemToProto } from './store-messages.js';

/** The store's part of ControlPlane. */
@Controller()
export class StoreController {
  constructor(@Inject(STORE) private readonly store: Store) {}

  @GrpcMethod('ControlPlane', 'verifyStore')
  verifyStore(
    _request: VerifyStoreRequest,
    _metadata: Metadata,
    call: ServerWritableStream<VerifyStoreRequest, VerifyStoreResponse>,
  ): Observable<never> {
    return writeStream(call, this.verification());
  }

  private async *verification(): AsyncGenerator<VerifyStoreResponse> {
    for await (const item of this.store.verifyRecords()) yield verificationItemToProto(item);
  }
}

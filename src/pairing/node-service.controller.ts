import { Controller } from '@nestjs/common';
import { GrpcMethod, GrpcStreamMethod } from '@nestjs/microservices';
import type { Metadata, ServerDuplexStream, ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { Observable } from 'rxjs';
import type {
  CollectRequest,
  CollectResponse,
  GetTrustBundleRequest,
  GetTrustBundleResponse,
  PairRequest,
  PairResponse,
  RenewRequest,
  RenewResponse,
} from '../generated/palyra/controlplane/v1/node_service.js';
import type { TrustBundle } from '../generated/palyra/controlplane/v1/trust_bundle.js';
import { callerOf, deviceProved } from '../grpc/caller-of-call.js';
import { cancellationOf, writeStream } from '../grpc/write-stream.js';
import { Renewals } from '../identity/renewals.js';
import { Metrics } from '../observability/metrics.js';
import { ClusterFacts } from './cluster-facts.js';
import { Collection, type CollectedState } from './collection.js';
import { PairConversation } from './pair-conversation.js';
import { stateToProto } from './pairing-messages.js';
import { PairingServer } from './pairing-server.js';

/** What devices call without a certificate: each call carries its own proof. */
@Controller()
export class NodeServiceController {
  constructor(
    private readonly pairing: PairingServer,
    private readonly collection: Collection,
    private readonly renewals: Renewals,
    private readonly cluster: ClusterFacts,
    private readonly metrics: Metrics,
  ) {}

  @GrpcStreamMethod('NodeService', 'pair')
  pair(
    messages: Observable<PairRequest>,
    _metadata: Metadata,
    call: ServerDuplexStream<PairRequest, PairResponse>,
  ): Observable<PairResponse> {
    const { source } = callerOf(call);
    return new Observable((answers) => {
      const conversation = new PairConversation(this.pairing, source, answers, this.metrics);
      const subscription = messages.subscribe(conversation);
      return () => {
        subscription.unsubscribe();
        conversation.end();
      };
    });
  }

  @GrpcMethod('NodeService', 'collect')
  collect(
    request: CollectRequest,
    _metadata: Metadata,
    call: ServerWritableStream<CollectRequest, CollectResponse>,
  ): Observable<never> {
    return writeStream(call, this.collected(request.token, call));
  }

  @GrpcMethod('NodeService', 'renew')
  async renew(
    request: RenewRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<RenewRequest, RenewResponse>,
  ): Promise<RenewResponse> {
    const { chain, issuedAt, expiresAt } = await this.renewals.renew(request, callerOf(call).source);
    deviceProved(call, request.deviceId);
    return {
      certificateChain: [...chain],
      bundle: bundleToProto(this.cluster),
      issuedAtMs: BigInt(issuedAt),
      expiresAtMs: BigInt(expiresAt),
    };
  }

  @GrpcMethod('NodeService', 'getTrustBundle')
  getTrustBundle(_request: GetTrustBundleRequest): GetTrustBundleResponse {
    return { bundle: bundleToProto(this.cluster) };
  }

  private async *collected(
    token: Buffer,
    call: ServerWritableStream<CollectRequest, CollectResponse>,
  ): AsyncGenerator<CollectResponse> {
    const { source } = callerOf(call);
    for await (const state of this.collection.watch(token, source, cancellationOf(call))) {
      // Only a token that leads to a request gets this far.
      deviceProved(call, state.requestId);
      yield collectResponse(state, bundleToProto(this.cluster));
    }
  }
}

function collectResponse(state: CollectedState, bundle: TrustBundle): CollectResponse {
  return {
    requestId: state.requestId,
    state: stateToProto(state.state),
    reason: state.reason,
    expireTime: new Date(state.expiresAt),
    certificateChain: [...state.certificateChain],
    bundle,
  };
}

function bundleToProto(cluster: ClusterFacts): TrustBundle {
  const { trustDomain, roots } = cluster.trustBundle();
  const { epoch, sequence } = cluster.storeTime();
  return { trustDomain, roots: [...roots], epoch: BigInt(epoch), sequence: BigInt(sequence) };
}

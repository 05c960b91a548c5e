import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { Metadata, ServerWritableStream } from '@grpc/grpc-js';
import type { Observable } from 'rxjs';
import type { CommittedReader } from '../database/unit-of-work.js';
import { malformed } from '../errors/domain-error.js';
import type { Duration } from '../generated/google/protobuf/duration.js';
import type {
  ApproveNodePairingRequestRequest,
  ApproveNodePairingRequestResponse,
  CreatePairingCodeRequest,
  CreatePairingCodeResponse,
  GetNodePairingRequestRequest,
  GetNodePairingRequestResponse,
  ListNodePairingRequestsRequest,
  ListNodePairingRequestsResponse,
  ListPairingCodesRequest,
  ListPairingCodesResponse,
  RejectNodePairingRequestRequest,
  RejectNodePairingRequestResponse,
  WithdrawPairingCodeRequest,
  WithdrawPairingCodeResponse,
} from '../generated/palyra/controlplane/v1/control_plane.js';
import type {
  WatchNodePairingRequestsRequest,
  WatchNodePairingRequestsResponse,
} from '../generated/palyra/controlplane/v1/pairing_watch.js';
import { type IdentifiedCall, operatorOf } from '../grpc/caller-of-call.js';
import { requireRole } from '../grpc/caller.guard.js';
import { cancellationOf, writeStream } from '../grpc/write-stream.js';
import { roleAllows } from '../operators/caller.js';
import { operatorMay } from '../operators/operator-record.js';
import { COMMITTED_READER } from '../runtime.js';
import { RequestWatch } from './request-watch.js';
import { pageToken, parsePage, parseReason } from '../grpc/paging.js';
import { certificateToProto } from './certificate-message.js';
import { PairingCodes } from './pairing-codes.js';
import { PairingDecisions } from './pairing-decisions.js';
import {
  codeKindFromProto,
  codeToProto,
  filterFromProto,
  policyFromProto,
  requestToProto,
} from './pairing-messages.js';
import { PairingQueue } from './pairing-queue.js';

/** Pairing's part of ControlPlane. */
@Controller()
export class PairingController {
  constructor(
    private readonly codes: PairingCodes,
    private readonly queue: PairingQueue,
    private readonly decisions: PairingDecisions,
    private readonly requests: RequestWatch,
    @Inject(COMMITTED_READER) private readonly committed: CommittedReader,
  ) {}

  @GrpcMethod('ControlPlane', 'createPairingCode')
  async createPairingCode(
    request: CreatePairingCodeRequest,
    _metadata: Metadata,
    call: IdentifiedCall,
  ): Promise<CreatePairingCodeResponse> {
    const { code, secretText } = await this.codes.mint(operatorOf(call), {
      kind: codeKindFromProto(request.kind),
      ...(request.ttl === undefined ? {} : { ttlMs: milliseconds(request.ttl) }),
      ...(request.linkEndpoint === '' ? {} : { linkEndpoint: request.linkEndpoint }),
      policy: policyFromProto(request.policy),
    });
    return { code: codeToProto(code), secretText };
  }

  @GrpcMethod('ControlPlane', 'listPairingCodes')
  async listPairingCodes(request: ListPairingCodesRequest): Promise<ListPairingCodesResponse> {
    const { limit, cursor } = parsePage(request);
    const page = await this.codes.list({ limit, ...(cursor === undefined ? {} : { after: cursor }) });
    return { codes: page.codes.map(codeToProto), nextPageToken: pageToken(page.next) };
  }

  @GrpcMethod('ControlPlane', 'withdrawPairingCode')
  async withdrawPairingCode(
    request: WithdrawPairingCodeRequest,
    _metadata: Metadata,
    call: IdentifiedCall,
  ): Promise<WithdrawPairingCodeResponse> {
    await this.codes.withdraw(operatorOf(call), request.codeId, parseReason(request.reason));
    return {};
  }

  @GrpcMethod('ControlPlane', 'listNodePairingRequests')
  async listNodePairingRequests(
    request: ListNodePairingRequestsRequest,
    _metadata: Metadata,
    call: IdentifiedCall,
  ): Promise<ListNodePairingRequestsResponse> {
    const { limit, cursor } = parsePage(request);
    // Whether a code brought requests tells of its life.
    if (request.codeId !== '') requireRole(operatorOf(call).role, 'approver');
    const before = cursor === undefined ? {} : { before: cursor };
    const page = await this.queue.list({ limit, ...before, ...filterFromProto(request) });
    return {
      requests: page.requests.map((item) => requestToProto(item, mayMint(call))),
      nextPageToken: pageToken(page.next),
    };
  }

  @GrpcMethod('ControlPlane', 'getNodePairingRequest')
  async getNodePairingRequest(
    request: GetNodePairingRequestRequest,
    _metadata: Metadata,
    call: IdentifiedCall,
  ): Promise<GetNodePairingRequestResponse> {
    return { request: requestToProto(await this.queue.get(request.requestId), mayMint(call)) };
  }

  @GrpcMethod('ControlPlane', 'watchNodePairingRequests')
  watchNodePairingRequests(
    request: WatchNodePairingRequestsRequest,
    _metadata: Metadata,
    call: ServerWritableStream<WatchNodePairingRequestsRequest, WatchNodePairingRequestsResponse>,
  ): Observable<never> {
    return writeStream(call, this.changes(request, call));
  }

  @GrpcMethod('ControlPlane', 'approveNodePairingRequest')
  async approveNodePairingRequest(
    request: ApproveNodePairingRequestRequest,
    _metadata: Metadata,
    call: IdentifiedCall,
  ): Promise<ApproveNodePairingRequestResponse> {
    const certificate = await this.decisions.approve(operatorOf(call), {
      requestId: request.requestId,
      reason: parseReason(request.reason),
      replaceIdentity: request.replaceIdentity,
    });
    return {
      request: requestToProto(await this.queue.get(request.requestId), true),
      certificate: certificateToProto(certificate),
    };
  }

  @GrpcMethod('ControlPlane', 'rejectNodePairingRequest')
  async rejectNodePairingRequest(
    request: RejectNodePairingRequestRequest,
    _metadata: Metadata,
    call: IdentifiedCall,
  ): Promise<RejectNodePairingRequestResponse> {
    await this.decisions.reject(operatorOf(call), request.requestId, parseReason(request.reason));
    return { request: requestToProto(await this.queue.get(request.requestId), true) };
  }

  private async *changes(
    request: WatchNodePairingRequestsRequest,
    call: ServerWritableStream<WatchNodePairingRequestsRequest, WatchNodePairingRequestsResponse>,
  ): AsyncGenerator<WatchNodePairingRequestsResponse> {
    const { operatorId } = operatorOf(call);
    const after = request.afterSequence === 0n ? {} : { after: sequenceOf(request.afterSequence) };
    const changes = this.requests.watch({
      ...after,
      mayLook: () => operatorMay(this.committed.secrets, operatorId, 'viewer'),
      signal: cancellationOf(call),
    });
    for await (const { sequence, request: changed } of changes) {
      const told = changed === undefined ? undefined : requestToProto(changed, mayMint(call));
      yield { sequence: BigInt(sequence), request: told };
    }
  }
}

const mayMint = (call: IdentifiedCall): boolean => roleAllows(operatorOf(call).role, 'approver');

/** No sequence goes beyond 2^53 − 1; what is larger is ahead of every store. */
function sequenceOf(sequence: bigint): number {
  return Number(sequence > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : sequence);
}

function milliseconds(duration: Duration): number {
  const value = Number(duration.seconds) * 1000 + duration.nanos / 1_000_000;
  if (!Number.isSafeInteger(value))
    throw malformed('TTL_OUT_OF_RANGE', 'the life of a code is whole milliseconds');
  return value;
}

import { Controller } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { Metadata } from '@grpc/grpc-js';
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
import { type IdentifiedCall, operatorOf } from '../grpc/caller-of-call.js';
import { pageToken, parsePage, parseReason } from '../grpc/paging.js';
import { certificateToProto } from './certificate-message.js';
import { PairingCodes } from './pairing-codes.js';
import { PairingDecisions } from './pairing-decisions.js';
import {
  codeKindFromProto,
  codeToProto,
  policyFromProto,
  requestToProto,
  stateFromProto,
} from './pairing-messages.js';
import { PairingQueue } from './pairing-queue.js';

/** Pairing's part of ControlPlane. */
@Controller()
export class PairingController {
  constructor(
    private readonly codes: PairingCodes,
    private readonly queue: PairingQueue,
    private readonly decisions: PairingDecisions,
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
  ): Promise<ListNodePairingRequestsResponse> {
    const { limit, cursor } = parsePage(request);
    const state = stateFromProto(request.state);
    const page = await this.queue.list({
      limit,
      ...(cursor === undefined ? {} : { before: cursor }),
      ...(state === undefined ? {} : { state }),
    });
    return { requests: page.requests.map(requestToProto), nextPageToken: pageToken(page.next) };
  }

  @GrpcMethod('ControlPlane', 'getNodePairingRequest')
  async getNodePairingRequest(request: GetNodePairingRequestRequest): Promise<GetNodePairingRequestResponse> {
    return { request: requestToProto(await this.queue.get(request.requestId)) };
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
      request: requestToProto(await this.queue.get(request.requestId)),
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
    return { request: requestToProto(await this.queue.get(request.requestId)) };
  }
}

function milliseconds(duration: Duration): number {
  const value = Number(duration.seconds) * 1000 + duration.nanos / 1_000_000;
  if (!Number.isSafeInteger(value))
    throw malformed('TTL_OUT_OF_RANGE', 'the life of a code is whole milliseconds');
  return value;
}

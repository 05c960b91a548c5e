import type { Metadata, ServerUnaryCall } from '@grpc/grpc-js';
import { Controller } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type {
  ActivateRootRequest,
  ActivateRootResponse,
  ListDevicesToPairRequest,
  ListDevicesToPairResponse,
  ListRootsResponse,
  PrepareRootRequest,
  PrepareRootResponse,
  ReplaceCompromisedRootsRequest,
  ReplaceCompromisedRootsResponse,
  RetireRootRequest,
  RetireRootResponse,
} from '../../generated/palyra/controlplane/v1/ca.js';
import { operatorOf } from '../../grpc/caller-of-call.js';
import { pageToken, parsePage, parseReason } from '../../grpc/paging.js';
import { deviceToProto } from '../../identity/device-messages.js';
import { CaRotation } from './ca-rotation.js';
import { DevicesToPair } from './devices-to-pair.js';
import { parseKeyId, rootToProto } from './rotation-messages.js';

/** The CA's part of ControlPlane. */
@Controller()
export class RotationController {
  constructor(
    private readonly rotation: CaRotation,
    private readonly devicesToPair: DevicesToPair,
  ) {}

  @GrpcMethod('ControlPlane', 'listRoots')
  async listRoots(): Promise<ListRootsResponse> {
    return { roots: (await this.rotation.list()).map(rootToProto) };
  }

  @GrpcMethod('ControlPlane', 'prepareRoot')
  async prepareRoot(
    request: PrepareRootRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<PrepareRootRequest, PrepareRootResponse>,
  ): Promise<PrepareRootResponse> {
    const root = await this.rotation.prepare(operatorOf(call), parseReason(request.reason));
    return { root: rootToProto(root) };
  }

  @GrpcMethod('ControlPlane', 'activateRoot')
  async activateRoot(
    request: ActivateRootRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<ActivateRootRequest, ActivateRootResponse>,
  ): Promise<ActivateRootResponse> {
    const { keyId, reason } = request;
    const root = await this.rotation.activate(operatorOf(call), parseKeyId(keyId), parseReason(reason));
    return { root: rootToProto(root) };
  }

  @GrpcMethod('ControlPlane', 'retireRoot')
  async retireRoot(
    request: RetireRootRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<RetireRootRequest, RetireRootResponse>,
  ): Promise<RetireRootResponse> {
    const { keyId, reason } = request;
    const root = await this.rotation.retire(operatorOf(call), parseKeyId(keyId), parseReason(reason));
    return { root: rootToProto(root) };
  }

  @GrpcMethod('ControlPlane', 'replaceCompromisedRoots')
  async replaceCompromisedRoots(
    request: ReplaceCompromisedRootsRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<ReplaceCompromisedRootsRequest, ReplaceCompromisedRootsResponse>,
  ): Promise<ReplaceCompromisedRootsResponse> {
    const outcome = await this.rotation.replaceCompromised(operatorOf(call), parseReason(request.reason));
    return {
      root: rootToProto(outcome.root),
      closedConnections: outcome.closedConnections,
      endedOperators: outcome.operators,
      endedLinks: outcome.links,
    };
  }

  @GrpcMethod('ControlPlane', 'listDevicesToPair')
  async listDevicesToPair(request: ListDevicesToPairRequest): Promise<ListDevicesToPairResponse> {
    const { limit, cursor } = parsePage(request);
    const page = await this.devicesToPair.list({ limit, ...(cursor === undefined ? {} : { after: cursor }) });
    return {
      devices: page.devices.map((device) => deviceToProto(device, undefined)),
      nextPageToken: pageToken(page.next),
    };
  }
}

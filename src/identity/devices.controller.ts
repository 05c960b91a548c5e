import { Controller } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { Metadata, ServerUnaryCall } from '@grpc/grpc-js';
import type {
  ClearDeviceRequest,
  ClearDeviceResponse,
  GetDeviceRequest,
  GetDeviceResponse,
  ListDevicesRequest,
  ListDevicesResponse,
  RevokeDeviceRequest,
  RevokeDeviceResponse,
} from '../generated/palyra/controlplane/v1/control_plane.js';
import { operatorOf } from '../grpc/caller-of-call.js';
import { pageToken, parsePage, parseReason } from '../grpc/paging.js';
import { deviceStateFromProto, deviceToProto } from './device-messages.js';
import { IdentityManager } from './identity-manager.js';

/** The registry's part of ControlPlane. */
@Controller()
export class DevicesController {
  constructor(private readonly identities: IdentityManager) {}

  @GrpcMethod('ControlPlane', 'listDevices')
  async listDevices(request: ListDevicesRequest): Promise<ListDevicesResponse> {
    const { limit, cursor } = parsePage(request);
    const state = deviceStateFromProto(request.state);
    const page = await this.identities.list({
      limit,
      ...(cursor === undefined ? {} : { after: cursor }),
      ...(state === undefined ? {} : { state }),
    });
    return { devices: page.devices.map(deviceToProto), nextPageToken: pageToken(page.next) };
  }

  @GrpcMethod('ControlPlane', 'getDevice')
  async getDevice(request: GetDeviceRequest): Promise<GetDeviceResponse> {
    return { device: deviceToProto(await this.identities.get(request.deviceId)) };
  }

  @GrpcMethod('ControlPlane', 'revokeDevice')
  async revokeDevice(
    request: RevokeDeviceRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<RevokeDeviceRequest, RevokeDeviceResponse>,
  ): Promise<RevokeDeviceResponse> {
    const reason = parseReason(request.reason);
    const { device, closedConnections } = await this.identities.revoke(
      operatorOf(call),
      request.deviceId,
      reason,
    );
    return { device: deviceToProto(device), closedConnections };
  }

  @GrpcMethod('ControlPlane', 'clearDevice')
  async clearDevice(
    request: ClearDeviceRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<ClearDeviceRequest, ClearDeviceResponse>,
  ): Promise<ClearDeviceResponse> {
    await this.identities.clear(operatorOf(call), request.deviceId, parseReason(request.reason));
    return {};
  }
}

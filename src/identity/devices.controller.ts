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
import type { Device } from '../generated/palyra/controlplane/v1/device.js';
import { operatorOf } from '../grpc/caller-of-call.js';
import { pageToken, parsePage, parseReason } from '../grpc/paging.js';
import { Presence } from '../presence/presence.js';
import { deviceStateFromProto, deviceToProto } from './device-messages.js';
import { IdentityManager, type RegisteredDevice } from './identity-manager.js';

/** The registry's part of ControlPlane. */
@Controller()
export class DevicesController {
  constructor(
    private readonly identities: IdentityManager,
    private readonly presence: Presence,
  ) {}

  @GrpcMethod('ControlPlane', 'listDevices')
  async listDevices(request: ListDevicesRequest): Promise<ListDevicesResponse> {
    const { limit, cursor } = parsePage(request);
    const state = deviceStateFromProto(request.state);
    const page = await this.identities.list({
      limit,
      ...(cursor === undefined ? {} : { after: cursor }),
      ...(state === undefined ? {} : { state }),
    });
    return { devices: await this.messages(page.devices), nextPageToken: pageToken(page.next) };
  }

  @GrpcMethod('ControlPlane', 'getDevice')
  async getDevice(request: GetDeviceRequest): Promise<GetDeviceResponse> {
    const [device] = await this.messages([await this.identities.get(request.deviceId)]);
    return { device };
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
    const [message] = await this.messages([device]);
    return { device: message, closedConnections };
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

  private async messages(devices: readonly RegisteredDevice[]): Promise<Device[]> {
    const presence = await this.presence.of(devices.map(({ row }) => row.deviceId));
    return devices.map((device) => deviceToProto(device, presence.get(device.row.deviceId)));
  }
}

import { Client, Metadata } from '@grpc/grpc-js';
import {
  ApproveNodePairingRequestRequest,
  type ApproveNodePairingRequestResponse,
  ClearDeviceRequest,
  type ClearDeviceResponse,
  ControlPlaneService,
  CreatePairingCodeRequest,
  type CreatePairingCodeResponse,
  type DeepPartial,
  ExportAuditRequest,
  type ExportAuditResponse,
  GetDeviceRequest,
  type GetDeviceResponse,
  GetNodePairingRequestRequest,
  type GetNodePairingRequestResponse,
  GetStatusRequest,
  type GetStatusResponse,
  ListDevicesRequest,
  type ListDevicesResponse,
  ListNodePairingRequestsRequest,
  type ListNodePairingRequestsResponse,
  ListPairingCodesRequest,
  type ListPairingCodesResponse,
  RejectNodePairingRequestRequest,
  type RejectNodePairingRequestResponse,
  RevokeDeviceRequest,
  type RevokeDeviceResponse,
  WithdrawPairingCodeRequest,
  type WithdrawPairingCodeResponse,
} from '../generated/palyra/controlplane/v1/control_plane.js';
import { PruneStoreRequest, type PruneStoreResponse } from '../generated/palyra/controlplane/v1/prune.js';
import {
  ConfirmClockRequest,
  type ConfirmClockResponse,
  GetClockRequest,
  type GetClockResponse,
} from '../generated/palyra/controlplane/v1/clock.js';
import {
  ListCertificatesRequest,
  type ListCertificatesResponse,
} from '../generated/palyra/controlplane/v1/certificate.js';
import {
  BackupStoreRequest,
  type BackupStoreResponse,
  ConfirmRestoreRequest,
  type ConfirmRestoreResponse,
} from '../generated/palyra/controlplane/v1/backup.js';
import {
  RekeyStoreDataRequest,
  type RekeyStoreDataResponse,
  RekeyStoreRequest,
  type RekeyStoreResponse,
  VerifyStoreRequest,
  type VerifyStoreResponse,
} from '../generated/palyra/controlplane/v1/store.js';
import {
  ActivateRootRequest,
  type ActivateRootResponse,
  ListDevicesToPairRequest,
  type ListDevicesToPairResponse,
  ListRootsRequest,
  type ListRootsResponse,
  PrepareRootRequest,
  type PrepareRootResponse,
  ReplaceCompromisedRootsRequest,
  type ReplaceCompromisedRootsResponse,
  RetireRootRequest,
  type RetireRootResponse,
} from '../generated/palyra/controlplane/v1/ca.js';
import {
  WatchNodePairingRequestsRequest,
  type WatchNodePairingRequestsResponse,
} from '../generated/palyra/controlplane/v1/pairing_watch.js';
import type { Endpoint } from './grpc/endpoint.js';
import { openPinnedChannel } from './grpc/pinned-channel.js';
import type { GrpcTarget } from './grpc/secure-target.js';
import { serverStreamCall } from './grpc/server-stream-call.js';
import { unaryCall, type UnaryMethod } from './grpc/unary-call.js';
import type { OperatorCredential } from './operator-credential.js';
import type { StoreTime } from '../database/unit-of-work.js';
import { parseStoreNumber, StoreTimeWatch } from './store-time.js';

export interface OperatorClientOptions {
  /** Deadline of each call, and of the connection before the first; 30 s unless said otherwise. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** The highest store time that earlier runs have seen; answers are held against it. */
  readonly knownStoreTime?: StoreTime | undefined;
  /** The store answered with an earlier (epoch, sequence) than before: an old store was put back (DESIGN §4). */
  readonly onStoreTimeFell?: (known: StoreTime, seen: StoreTime) => void;
}

const DEFAULT_TIMEOUT_MS = 30_000;

/**
 * `ControlPlane` for operators. Every method throws `RemoteError` for what the server refused and `ClientError` when it
 * was not reached (`unreachable`) or was another one (`refused`).
 */
export class OperatorClient {
  readonly #client: Client;
  readonly #storeTimes: StoreTimeWatch;
  readonly #timeoutMs: number;

  private constructor(
    private readonly target: GrpcTarget,
    private readonly credential: OperatorCredential,
    private readonly options: OperatorClientOptions,
  ) {
    this.#client = new Client(target.address, target.credentials, target.options);
    this.#storeTimes = new StoreTimeWatch(
      options.onStoreTimeFell ?? (() => undefined),
      options.knownStoreTime,
    );
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  /** Finds the root that the token pins before the token goes anywhere. Throws `refused` for a server without it. */
  static async connect(
    endpoint: Endpoint,
    credential: OperatorCredential,
    options: OperatorClientOptions = {},
  ): Promise<OperatorClient> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const target = await openPinnedChannel(endpoint, credential.ca, { timeoutMs, signal: options.signal });
    return new OperatorClient(target, credential, options);
  }

  /** The highest store time known or seen, `undefined` before the first answer. */
  get storeTime(): StoreTime | undefined {
    return this.#storeTimes.highest;
  }

  close(): void {
    this.#client.close();
  }

  async createPairingCode(
    request: DeepPartial<CreatePairingCodeRequest> = {},
  ): Promise<CreatePairingCodeResponse> {
    return this.#call(ControlPlaneService.createPairingCode, CreatePairingCodeRequest.fromPartial(request));
  }

  async listPairingCodes(
    request: DeepPartial<ListPairingCodesRequest> = {},
  ): Promise<ListPairingCodesResponse> {
    return this.#call(ControlPlaneService.listPairingCodes, ListPairingCodesRequest.fromPartial(request));
  }

  async withdrawPairingCode(
    request: DeepPartial<WithdrawPairingCodeRequest>,
  ): Promise<WithdrawPairingCodeResponse> {
    return this.#call(
      ControlPlaneService.withdrawPairingCode,
      WithdrawPairingCodeRequest.fromPartial(request),
    );
  }

  async listNodePairingRequests(
    request: DeepPartial<ListNodePairingRequestsRequest> = {},
  ): Promise<ListNodePairingRequestsResponse> {
    return this.#call(
      ControlPlaneService.listNodePairingRequests,
      ListNodePairingRequestsRequest.fromPartial(request),
    );
  }

  async getNodePairingRequest(
    request: DeepPartial<GetNodePairingRequestRequest>,
  ): Promise<GetNodePairingRequestResponse> {
    return this.#call(
      ControlPlaneService.getNodePairingRequest,
      GetNodePairingRequestRequest.fromPartial(request),
    );
  }

  async approveNodePairingRequest(
    request: DeepPartial<ApproveNodePairingRequestRequest>,
  ): Promise<ApproveNodePairingRequestResponse> {
    return this.#call(
      ControlPlaneService.approveNodePairingRequest,
      ApproveNodePairingRequestRequest.fromPartial(request),
    );
  }

  async rejectNodePairingRequest(
    request: DeepPartial<RejectNodePairingRequestRequest>,
  ): Promise<RejectNodePairingRequestResponse> {
    return this.#call(
      ControlPlaneService.rejectNodePairingRequest,
      RejectNodePairingRequestRequest.fromPartial(request),
    );
  }

  async listDevices(request: DeepPartial<ListDevicesRequest> = {}): Promise<ListDevicesResponse> {
    return this.#call(ControlPlaneService.listDevices, ListDevicesRequest.fromPartial(request));
  }

  async getDevice(request: DeepPartial<GetDeviceRequest>): Promise<GetDeviceResponse> {
    return this.#call(ControlPlaneService.getDevice, GetDeviceRequest.fromPartial(request));
  }

  async revokeDevice(request: DeepPartial<RevokeDeviceRequest>): Promise<RevokeDeviceResponse> {
    return this.#call(ControlPlaneService.revokeDevice, RevokeDeviceRequest.fromPartial(request));
  }

  async clearDevice(request: DeepPartial<ClearDeviceRequest>): Promise<ClearDeviceResponse> {
    return this.#call(ControlPlaneService.clearDevice, ClearDeviceRequest.fromPartial(request));
  }

  async listCertificates(
    request: DeepPartial<ListCertificatesRequest> = {},
  ): Promise<ListCertificatesResponse> {
    return this.#call(ControlPlaneService.listCertificates, ListCertificatesRequest.fromPartial(request));
  }

  async listRoots(): Promise<ListRootsResponse> {
    return this.#call(ControlPlaneService.listRoots, ListRootsRequest.fromPartial({}));
  }

  async prepareRoot(request: DeepPartial<PrepareRootRequest> = {}): Promise<PrepareRootResponse> {
    return this.#call(ControlPlaneService.prepareRoot, PrepareRootRequest.fromPartial(request));
  }

  async activateRoot(request: DeepPartial<ActivateRootRequest> = {}): Promise<ActivateRootResponse> {
    return this.#call(ControlPlaneService.activateRoot, ActivateRootRequest.fromPartial(request));
  }

  async retireRoot(request: DeepPartial<RetireRootRequest> = {}): Promise<RetireRootResponse> {
    return this.#call(ControlPlaneService.retireRoot, RetireRootRequest.fromPartial(request));
  }

  async replaceCompromisedRoots(
    request: DeepPartial<ReplaceCompromisedRootsRequest> = {},
  ): Promise<ReplaceCompromisedRootsResponse> {
    return this.#call(
      ControlPlaneService.replaceCompromisedRoots,
      ReplaceCompromisedRootsRequest.fromPartial(request),
    );
  }

  async listDevicesToPair(
    request: DeepPartial<ListDevicesToPairRequest> = {},
  ): Promise<ListDevicesToPairResponse> {
    return this.#call(ControlPlaneService.listDevicesToPair, ListDevicesToPairRequest.fromPartial(request));
  }

  /**
   * Entries behind `afterSequence`, then the signed head; read as fast as they are taken. Without a deadline: it takes as
   * long as the log is.
   */
  async *exportAudit(
    request: DeepPartial<ExportAuditRequest> = {},
  ): AsyncGenerator<ExportAuditResponse, void, undefined> {
    yield* serverStreamCall(
      { client: this.#client, target: this.target },
      ControlPlaneService.exportAudit,
      ExportAuditRequest.fromPartial(request),
      { ...this.#callOptions(), signal: this.options.signal },
    );
  }

  async rekeyStore(request: DeepPartial<RekeyStoreRequest> = {}): Promise<RekeyStoreResponse> {
    return this.#call(ControlPlaneService.rekeyStore, RekeyStoreRequest.fromPartial(request));
  }

  /** How far it is, then what failed, then the result. Without a deadline, as above. */
  async *rekeyStoreData(
    request: DeepPartial<RekeyStoreDataRequest> = {},
  ): AsyncGenerator<RekeyStoreDataResponse, void, undefined> {
    yield* serverStreamCall(
      { client: this.#client, target: this.target },
      ControlPlaneService.rekeyStoreData,
      RekeyStoreDataRequest.fromPartial(request),
      { ...this.#callOptions(), signal: this.options.signal },
    );
  }

  /** What does not open, with progress in between, and in the end a summary. Without a deadline, as above. */
  async *verifyStore(): AsyncGenerator<VerifyStoreResponse, void, undefined> {
    yield* serverStreamCall(
      { client: this.#client, target: this.target },
      ControlPlaneService.verifyStore,
      VerifyStoreRequest.fromPartial({}),
      { ...this.#callOptions(), signal: this.options.signal },
    );
  }

  /** The file of a backup in order, with progress before it and a summary behind it. Without a deadline, as above. */
  async *backupStore(): AsyncGenerator<BackupStoreResponse, void, undefined> {
    yield* serverStreamCall(
      { client: this.#client, target: this.target },
      ControlPlaneService.backupStore,
      BackupStoreRequest.fromPartial({}),
      { ...this.#callOptions(), signal: this.options.signal },
    );
  }

  async confirmRestore(request: DeepPartial<ConfirmRestoreRequest>): Promise<ConfirmRestoreResponse> {
    return this.#call(ControlPlaneService.confirmRestore, ConfirmRestoreRequest.fromPartial(request));
  }

  async pruneStore(request: DeepPartial<PruneStoreRequest> = {}): Promise<PruneStoreResponse> {
    return this.#call(ControlPlaneService.pruneStore, PruneStoreRequest.fromPartial(request));
  }

  async getClock(): Promise<GetClockResponse> {
    return this.#call(ControlPlaneService.getClock, GetClockRequest.fromPartial({}));
  }

  async confirmClock(request: DeepPartial<ConfirmClockRequest> = {}): Promise<ConfirmClockResponse> {
    return this.#call(ControlPlaneService.confirmClock, ConfirmClockRequest.fromPartial(request));
  }

  /** Pending requests and then changes, or changes behind a sequence; without a deadline, until the caller stops. */
  async *watchNodePairingRequests(
    request: DeepPartial<WatchNodePairingRequestsRequest> = {},
  ): AsyncGenerator<WatchNodePairingRequestsResponse, void, undefined> {
    yield* serverStreamCall(
      { client: this.#client, target: this.target },
      ControlPlaneService.watchNodePairingRequests,
      WatchNodePairingRequestsRequest.fromPartial(request),
      { ...this.#callOptions(), signal: this.options.signal },
    );
  }

  async getStatus(): Promise<GetStatusResponse> {
    return this.#call(ControlPlaneService.getStatus, GetStatusRequest.fromPartial({}));
  }

  async #call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
  ): Promise<Response> {
    return unaryCall({ client: this.#client, target: this.target }, method, request, {
      ...this.#callOptions(),
      timeoutMs: this.#timeoutMs,
      signal: this.options.signal,
    });
  }

  /** The credential goes out, and the store time of the answer is held against what is known now. */
  #callOptions(): { metadata: Metadata; onMetadata: (answer: Metadata) => void } {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${this.credential.token}`);
    const seeStoreTime = this.#storeTimes.begin();
    const onMetadata = (answer: Metadata): void => {
      const seen = readStoreTime(answer);
      if (seen !== undefined) seeStoreTime(seen);
    };
    return { metadata, onMetadata };
  }
}

/** `palyra-epoch` and `palyra-sequence` of an answer; `undefined` when it does not carry both. */
function readStoreTime(metadata: Metadata): StoreTime | undefined {
  const epoch = readNumber(metadata, 'palyra-epoch');
  const sequence = readNumber(metadata, 'palyra-sequence');
  return epoch === undefined || sequence === undefined ? undefined : { epoch, sequence };
}

function readNumber(metadata: Metadata, key: string): number | undefined {
  const value = metadata.get(key)[0];
  return typeof value === 'string' ? parseStoreNumber(value) : undefined;
}

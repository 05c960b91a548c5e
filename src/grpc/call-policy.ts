import type { OperatorRole } from '../operators/caller.js';
import type { ControlPlaneService } from '../generated/palyra/controlplane/v1/control_plane.js';
import type { NodeServiceService } from '../generated/palyra/controlplane/v1/node_service.js';
import type { HeldWork } from '../service-holds/service-holds.js';

/** Who may call an RPC, and which kind of work it is, where a hold may stop that (`ServiceHolds`). */
export type CallPolicy = (
  | { readonly caller: 'nobody' }
  | { readonly caller: 'operator'; readonly role: OperatorRole }
  | { readonly caller: 'device' }
) & { readonly work?: HeldWork };

/** Reached without a credential, since the call carries its own proof or gives nothing away. An operator may too. */
const nobody: CallPolicy = { caller: 'nobody' };
const viewer: CallPolicy = { caller: 'operator', role: 'viewer' };
const approver: CallPolicy = { caller: 'operator', role: 'approver' };
const admin: CallPolicy = { caller: 'operator', role: 'admin' };
/** A connection that QUIC has admitted. */
const device: CallPolicy = { caller: 'device' };

type MethodNames<Service> = Capitalize<keyof Service & string>;

const nodeService: Record<MethodNames<NodeServiceService>, CallPolicy> = {
  Pair: { ...nobody, work: 'pairing' },
  Collect: { ...nobody, work: 'pairing' },
  Renew: { ...nobody, work: 'issuance' },
  GetTrustBundle: nobody,
};

const controlPlane: Record<MethodNames<ControlPlaneService>, CallPolicy> = {
  CreatePairingCode: { ...approver, work: 'pairing' },
  ListPairingCodes: approver,
  WithdrawPairingCode: approver,
  ListNodePairingRequests: viewer,
  GetNodePairingRequest: viewer,
  WatchNodePairingRequests: viewer,
  ApproveNodePairingRequest: { ...approver, work: 'issuance' },
  RejectNodePairingRequest: approver,
  ListDevices: viewer,
  GetDevice: viewer,
  RevokeDevice: approver,
  ClearDevice: admin,
  ListCertificates: viewer,
  ListRoots: viewer,
  PrepareRoot: { ...admin, work: 'rotation' },
  ActivateRoot: { ...admin, work: 'rotation' },
  RetireRoot: { ...admin, work: 'rotation' },
  ReplaceCompromisedRoots: { ...admin, work: 'rotation' },
  ListDevicesToPair: viewer,
  ExportAudit: admin,
  RekeyStore: admin,
  RekeyStoreData: admin,
  VerifyStore: admin,
  BackupStore: admin,
  ConfirmRestore: admin,
  PruneStore: admin,
  GetClock: viewer,
  ConfirmClock: admin,
  GetStatus: viewer,
};

/**
 * Every RPC of every door and who may call it (docs/protocol.md, "Who may call what"). What has no row is refused, and
 * the service does not start with it.
 */
export const CALL_POLICY: ReadonlyMap<string, CallPolicy> = new Map([
  ...rows('/palyra.controlplane.v1.NodeService/', nodeService),
  ...rows('/palyra.controlplane.v1.ControlPlane/', controlPlane),
  ...rows('/grpc.health.v1.Health/', { Check: nobody, Watch: nobody, List: nobody }),
  ...rows('/grpc.reflection.v1.ServerReflection/', { ServerReflectionInfo: nobody }),
  ...rows('/grpc.reflection.v1alpha.ServerReflection/', { ServerReflectionInfo: nobody }),
  ...rows('', {
    'node.health': device,
    'node.renew': device,
    'node.trust_bundle': device,
    'node.stream_events': device,
    'node.register': device,
    'node.heartbeat': device,
  }),
]);

function rows(prefix: string, methods: Readonly<Record<string, CallPolicy>>): [string, CallPolicy][] {
  return Object.entries(methods).map(([method, policy]) => [`${prefix}${method}`, policy]);
}

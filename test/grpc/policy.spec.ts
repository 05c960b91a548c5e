import { status } from '@grpc/grpc-js';
import { type ExecutionContext } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import { CALL_POLICY, type CallPolicy } from '../../src/grpc/call-policy.js';
import { CallerGuard, authorize } from '../../src/grpc/caller.guard.js';
import { OPERATOR_ROLES, roleAllows } from '../../src/operators/caller.js';
import { QuicContext } from '../../src/quic/quic-context.js';
import { ServiceHolds } from '../../src/service-holds/service-holds.js';
import { TestDoor, ownMethods, roleMetadata, statusOfCall } from './test-door.js';

const GET_STATUS = '/palyra.controlplane.v1.ControlPlane/GetStatus';

/** As docs/protocol.md, "Who may call what", has it; written here a second time on purpose. */
const EXPECTED: Readonly<Record<string, string>> = {
  Pair: 'nobody',
  Collect: 'nobody',
  Renew: 'nobody',
  GetTrustBundle: 'nobody',
  CreatePairingCode: 'approver',
  ListPairingCodes: 'approver',
  WithdrawPairingCode: 'approver',
  ListNodePairingRequests: 'viewer',
  GetNodePairingRequest: 'viewer',
  WatchNodePairingRequests: 'viewer',
  ApproveNodePairingRequest: 'approver',
  RejectNodePairingRequest: 'approver',
  ListDevices: 'viewer',
  ListCertificates: 'viewer',
  GetDevice: 'viewer',
  RevokeDevice: 'approver',
  ClearDevice: 'admin',
  ExportAudit: 'admin',
  RekeyStore: 'admin',
  RekeyStoreData: 'admin',
  VerifyStore: 'admin',
  BackupStore: 'admin',
  ConfirmRestore: 'admin',
  PruneStore: 'admin',
  GetClock: 'viewer',
  ConfirmClock: 'admin',
  ListRoots: 'viewer',
  PrepareRoot: 'admin',
  ActivateRoot: 'admin',
  RetireRoot: 'admin',
  ReplaceCompromisedRoots: 'admin',
  ListDevicesToPair: 'viewer',
  GetStatus: 'viewer',
};

const needOf = (policy: CallPolicy | undefined): string =>
  policy?.caller === 'operator' ? policy.role : (policy?.caller ?? 'no row');

const reasonOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as { reason: string }).reason;
  }
  return 'allowed';
};

describe('the table of callers', () => {
  it.each(ownMethods.map(({ path }) => path))('asks of %s what the protocol says', (path) => {
    expect(needOf(CALL_POLICY.get(path))).toBe(EXPECTED[path.slice(path.lastIndexOf('/') + 1)]);
  });

  it('lets a role do what those below it may, and no more', () => {
    const allowed = OPERATOR_ROLES.map((role) => OPERATOR_ROLES.filter((needed) => roleAllows(role, needed)));
    expect(allowed).toEqual([['viewer'], ['viewer', 'approver'], ['viewer', 'approver', 'admin']]);
  });

  it('lets an admin call nothing over gRPC that has no row, or a row for devices', () => {
    const admin = { kind: 'operator', operatorId: 'a', role: 'admin', source: '' } as const;
    expect(
      reasonOf(() => {
        authorize('/unknown.Service/Call', admin);
      }),
    ).toBe('NOT_CALLABLE');
    expect(
      reasonOf(() => {
        authorize('node.health', admin);
      }),
    ).toBe('NOT_CALLABLE');
  });
});

describe('the guard', () => {
  const guarded = (type: string, args: readonly unknown[]): ExecutionContext =>
    ({ getType: () => type, getArgs: () => args }) as unknown as ExecutionContext;
  const device = (method: string): ExecutionContext => {
    const request = { method, params: {}, resumeFrom: undefined };
    const remote = { host: '127.0.0.1', port: 1 };
    const call = { deviceId: 'd', fingerprint: 'f', remote, request };
    const answer = {
      signal: new AbortController().signal,
      writable: () => Promise.resolve(),
      sendEvent: () => undefined,
    };
    return guarded('rpc', [{}, new QuicContext(call, answer)]);
  };
  const holds = new ServiceHolds();
  const guard = new CallerGuard(holds);

  it('lets a device call what has a row for devices, and nothing else', () => {
    expect(guard.canActivate(device('node.health'))).toBe(true);
    for (const method of [GET_STATUS, 'node.unknown', '']) {
      expect(reasonOf(() => guard.canActivate(device(method)))).toBe('NOT_CALLABLE');
    }
  });

  it('refuses what comes through a door that it does not know', () => {
    expect(guard.canActivate(guarded('ws', []))).toBe(false);
    expect(guard.canActivate(guarded('rpc', [{}, {}, {}]))).toBe(false);
  });
});

describe('work that is held', () => {
  it('is refused at the door: to devices as something to try again, to operators as something to mend', async () => {
    const door = await TestDoor.open();
    door.holds.raise({ reason: 'TEST_HOLD', stops: ['pairing', 'issuance', 'rotation'], message: 'wait' });
    const path = (name: string): (typeof ownMethods)[number] =>
      ownMethods.find((method) => method.path.endsWith(`/${name}`))!;
    const codeOf = async (name: string): Promise<status> =>
      (await statusOfCall(door.controlPlane(), path(name), roleMetadata('admin'))).code;
    for (const name of ['Pair', 'Collect', 'Renew'])
      expect([name, await codeOf(name)]).toEqual([name, status.UNAVAILABLE]);
    const rotation = ['PrepareRoot', 'ActivateRoot', 'RetireRoot', 'ReplaceCompromisedRoots'];
    for (const name of ['CreatePairingCode', 'ApproveNodePairingRequest', ...rotation]) {
      expect([name, await codeOf(name)]).toEqual([name, status.FAILED_PRECONDITION]);
    }
    for (const name of ['GetStatus', 'RevokeDevice', 'RejectNodePairingRequest', 'ConfirmRestore']) {
      expect([name, await codeOf(name)]).toEqual([name, status.OK]);
    }
    await door.close();
  });
});

describe('the start', () => {
  it('is refused when a row for devices stands on gRPC', async () => {
    const policy = new Map<string, CallPolicy>([...CALL_POLICY, [GET_STATUS, { caller: 'device' }]]);
    await expect(TestDoor.open({ policy })).rejects.toThrow(/GetStatus stands on the wrong door/);
  });
});

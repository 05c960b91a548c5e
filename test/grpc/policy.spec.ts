import { type Client, status } from '@grpc/grpc-js';
import { type ExecutionContext } from '@nestjs/common';
import { afterEach, describe, expect, it } from '@jest/globals';
import { remoteError } from '../../src/client/remote-error.js';
import { CALL_POLICY, type CallPolicy } from '../../src/grpc/call-policy.js';
import { CallerGuard, authorize } from '../../src/grpc/caller.guard.js';
import { OPERATOR_ROLES, roleAllows } from '../../src/operators/caller.js';
import { QuicContext } from '../../src/quic/quic-context.js';
import { TestDoor, type TestDoorOptions, ownMethods, roleMetadata, statusOfCall } from './test-door.js';

const GET_STATUS = '/palyra.controlplane.v1.ControlPlane/GetStatus';

/** As docs/protocol.md, "Who may call what", has it; written here a second time on purpose. */
const EXPECTED: Readonly<Record<string, string>> = {
  Pair: 'nobody',
  Collect: 'nobody',
  GetTrustBundle: 'nobody',
  CreatePairingCode: 'approver',
  ListPairingCodes: 'approver',
  WithdrawPairingCode: 'approver',
  ListNodePairingRequests: 'viewer',
  GetNodePairingRequest: 'viewer',
  ApproveNodePairingRequest: 'approver',
  RejectNodePairingRequest: 'approver',
  ListDevices: 'viewer',
  GetDevice: 'viewer',
  RevokeDevice: 'approver',
  ClearDevice: 'admin',
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
    return guarded('rpc', [{}, new QuicContext({ deviceId: 'd', fingerprint: 'f', remote, request })]);
  };
  const guard = new CallerGuard();

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

describe('the gRPC door', () => {
  let door: TestDoor | undefined;
  afterEach(async () => {
    await door?.close();
    door = undefined;
  });

  const without = (...paths: string[]): ReadonlyMap<string, CallPolicy> =>
    new Map([...CALL_POLICY].filter(([path]) => !paths.includes(path)));

  it.each<[string, TestDoorOptions, RegExp]>([
    ['an RPC without a row', { policy: without(GET_STATUS) }, /GetStatus has no row/],
    [
      'a row that nothing serves',
      { policy: new Map([...CALL_POLICY, ['/palyra.Nothing/Call', { caller: 'nobody' }]]) },
      /palyra.Nothing\/Call has a row .* not served/,
    ],
    ['an RPC without a handler', { without: ['GetStatus'] }, /GetStatus has no handler/],
    ['a handler of no RPC', { extra: ['Backdoor'] }, /Backdoor has a handler and stands in no proto file/],
    ['a node RPC without a row', { nodeHandlers: ['node.health', 'node.exec'] }, /node.exec has no row/],
    [
      'a row for devices on gRPC',
      { policy: new Map([...CALL_POLICY, [GET_STATUS, { caller: 'device' }]]) },
      /GetStatus stands on the wrong door/,
    ],
  ])('does not open with %s', async (_what, options, problem) => {
    await expect(TestDoor.open(options)).rejects.toThrow(problem);
  });

  it('tells nobody what went wrong inside, and the log all of it', async () => {
    const fail = (): never => {
      throw new Error('the disk at /secret is on fire');
    };
    door = await TestDoor.open({ handlers: { GetStatus: fail } });
    const client: Client = door.controlPlane();
    const method = ownMethods.find(({ path }) => path === GET_STATUS)!;
    const answer = await statusOfCall(client, method, roleMetadata('viewer'));
    expect(answer.code).toBe(status.INTERNAL);
    expect(JSON.stringify(answer)).not.toContain('secret');
    expect(remoteError(answer as never).reason).toBe('INTERNAL');
    expect(door.failures).toHaveLength(1);
    expect(String((door.failures[0]!.fields as { err: unknown }).err)).toContain('/secret');
  });
});

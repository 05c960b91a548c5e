import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { OperatorCaller, OperatorRole } from '../../src/operators/caller.js';
import { encodeOperatorRecord, operatorRecordName } from '../../src/operators/operator-record.js';
import type { CodePolicy } from '../../src/pairing/code-policy.js';
import { PairingCodeRow, PairingRequestRow } from '../../src/pairing/pairing.entity.js';
import {
  PairingWorld,
  type PairedDevice,
  type TestDevice,
  admin,
  newTestDevice,
  refusal,
} from './pairing-world.js';
import { newKeyPair } from '../../src/random/key-pair.js';

const other: OperatorCaller = { ...admin, operatorId: 'b2c3d4e5' };

describe('what a code may be used for', () => {
  let world: PairingWorld;

  beforeEach(async () => {
    world = await PairingWorld.open();
    await operatorIs('approver');
  });

  afterEach(() => world.remove());

  /** The minter as the register knows it. */
  async function operatorIs(role: OperatorRole): Promise<void> {
    const record = encodeOperatorRecord({ role, secretHash: Buffer.alloc(32), createdAt: 1 });
    await world.temporary.store.unitOfWork.run((unit) =>
      unit.secrets.write(operatorRecordName(admin.operatorId), record),
    );
  }

  async function link(policy: Partial<CodePolicy>): Promise<string> {
    const { secretText } = await world.codes.mint(admin, { kind: 'link', policy });
    return secretText;
  }

  async function stateOf(device: PairedDevice): Promise<string> {
    return (await world.queue.get(device.requestId)).row.state;
  }

  const collectedChain = async (device: PairedDevice): Promise<number> =>
    (await world.collectOnce(device.token)).certificateChain.length;

  it('pairs as many devices as the code has uses, also at once, and no more', async () => {
    const secretText = await link({ uses: 3 });
    const devices = Array.from({ length: 8 }, () => newTestDevice());
    const outcomes = await Promise.allSettled(devices.map((device) => world.paired(device, secretText)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected')
        expect(outcome.reason).toMatchObject({ reason: 'PAIRING_REFUSED', kind: 'unauthenticated' });
    }
    expect(await world.temporary.store.committed.secrets.list('code/', { limit: 10 })).toEqual([]);
  });

  it('shows how many uses are left', async () => {
    const secretText = await link({ uses: 2, clientKinds: ['node'] });
    await world.paired(newTestDevice(), secretText);
    const { codes } = await world.codes.list({ limit: 10 });
    expect(codes).toMatchObject([{ usesLeft: 1, policy: { uses: 2, clientKinds: ['node'] } }]);
    await world.paired(newTestDevice(), secretText);
    expect((await world.codes.list({ limit: 10 })).codes).toEqual([]);
  });

  it.each<[string, Partial<CodePolicy>]>([
    ['kind', { clientKinds: ['cli', 'mobile'] }],
    ['id', { deviceIdPattern: '7ZZZ*' }],
  ])('is not for a device of another %s, which costs no use', async (_what, policy) => {
    const secretText = await link(policy);
    const error = await refusal(world.paired(newTestDevice(), secretText));
    expect([error.kind, error.reason]).toEqual(['forbidden', 'CODE_NOT_FOR_DEVICE']);
    expect((await world.codes.list({ limit: 10 })).codes).toMatchObject([{ usesLeft: 1 }]);
    expect((await world.queue.list({ limit: 10 })).requests).toEqual([]);
  });

  it('approves each use of a pre-approved code as the decision of its minter', async () => {
    const secretText = await link({ uses: 2, preApproved: true });
    const first = await world.paired(newTestDevice(), secretText);
    const second = await world.paired(newTestDevice(), secretText);
    for (const device of [first, second]) {
      expect(await stateOf(device)).toBe('approved');
      const { row } = await world.queue.get(device.requestId);
      expect(row.decidedBy).toBe('operator/7zk4m9qx');
      expect(await collectedChain(device)).toBeGreaterThan(0);
    }
    const entries = await world.temporary.store.auditLog.entries({ after: 0, limit: 100 });
    const approvals = entries.filter(({ action }) => action === 'pairing.approved');
    expect(approvals.map(({ actor }) => actor)).toEqual(['operator/7zk4m9qx', 'operator/7zk4m9qx']);
    expect(JSON.parse(approvals[0]!.details)).toMatchObject({ pre_approved: true });
  });

  it('takes up a known device with the same key by itself', async () => {
    const device = newTestDevice();
    const first = await world.paired(device, await link({ preApproved: true }));
    expect(await collectedChain(first)).toBeGreaterThan(0);
    const again = await world.paired(device, await link({ preApproved: true }));
    expect(await stateOf(again)).toBe('approved');
  });

  describe('leaves to a person', () => {
    async function waits(device: TestDevice, conflict: string | undefined): Promise<void> {
      const paired = await world.paired(device, await link({ preApproved: true }));
      const { row, conflict: met } = await world.queue.get(paired.requestId);
      expect([row.state, met]).toEqual(['pending_approval', conflict]);
      expect((await world.collectOnce(paired.token)).certificateChain).toEqual([]);
    }

    async function enrolled(): Promise<PairedDevice> {
      const device = await world.paired();
      await world.approve(device.requestId);
      await world.collectOnce(device.token);
      return device;
    }

    it('a known id with another key', async () => {
      const { deviceId } = await enrolled();
      const identityKey = newKeyPair('ed25519').privateKey;
      await waits(newTestDevice({ deviceId, identityKey }), 'IDENTITY_CHANGED');
    });

    it('the key of another device', async () => {
      const { identityKey } = await enrolled();
      await waits(newTestDevice({ identityKey }), 'IDENTITY_KEY_IN_USE');
    });

    it('the certificate key of another device', async () => {
      const { certificateKey, csr } = await enrolled();
      await waits(newTestDevice({ certificateKey, csr }), 'KEY_IN_USE');
    });

    it.each(['id', 'key'] as const)('a revoked %s', async (what) => {
      const { deviceId, identityKey } = await enrolled();
      await world.identities.revoke(admin, deviceId, 'lost');
      await waits(newTestDevice(what === 'id' ? { deviceId } : { identityKey }), 'DEVICE_REVOKED');
    });

    it('what comes when the minter may not approve any more', async () => {
      const secretText = await link({ preApproved: true });
      await operatorIs('viewer');
      expect(await stateOf(await world.paired(newTestDevice(), secretText))).toBe('pending_approval');
    });

    it('what comes when the minter is gone', async () => {
      const secretText = await link({ preApproved: true });
      await world.temporary.store.unitOfWork.run((unit) =>
        unit.secrets.delete(operatorRecordName(admin.operatorId)),
      );
      expect(await stateOf(await world.paired(newTestDevice(), secretText))).toBe('pending_approval');
    });
  });

  it('is read from the sealed record, whatever the row says', async () => {
    const { secretText, code } = await world.codes.mint(admin, { kind: 'link' });
    await world.temporary.store.unitOfWork.run((unit) =>
      unit.tables.update(PairingCodeRow, { codeId: code.codeId }, { createdBy: 'operator/forged' }),
    );
    const device = await world.paired(newTestDevice(), secretText);
    const { record } = await world.queue.get(device.requestId);
    expect(record?.codeCreatedBy).toBe('operator/7zk4m9qx');
  });
});

describe('where whoever minted a code may not approve', () => {
  let world: PairingWorld;

  beforeEach(async () => {
    world = await PairingWorld.open({ separateApprover: true });
  });

  afterEach(() => world.remove());

  it('refuses the minter, who may still reject, and lets another approve', async () => {
    const device = await world.paired();
    const error = await refusal(world.approve(device.requestId));
    expect([error.kind, error.reason]).toEqual(['forbidden', 'MINTER_MAY_NOT_APPROVE']);
    expect((await world.queue.get(device.requestId)).row.state).toBe('pending_approval');
    const approval = { requestId: device.requestId, reason: '', replaceIdentity: false };
    const { fingerprint } = await world.decisions.approve(other, approval);
    // Once it is approved, the same answer goes to everybody.
    expect((await world.approve(device.requestId)).fingerprint).toBe(fingerprint);
    const second = await world.paired();
    await world.decisions.reject(admin, second.requestId, 'not ours');
    expect((await world.queue.get(second.requestId)).row.state).toBe('rejected');
  });

  it('mints no code that is approved beforehand', async () => {
    const mint = world.codes.mint(admin, { kind: 'link', policy: { preApproved: true } });
    expect((await refusal(mint)).reason).toBe('PRE_APPROVAL_OFF');
  });
});

describe('a decision that comes too late', () => {
  let world: PairingWorld;

  beforeEach(async () => {
    world = await PairingWorld.open();
  });

  afterEach(() => world.remove());

  it('is told which one stands, by whom and since when', async () => {
    const { requestId } = await world.paired();
    const approval = { requestId, reason: '', replaceIdentity: false };
    const outcomes = await Promise.allSettled([
      world.decisions.reject(other, requestId, 'no'),
      world.decisions.approve(admin, approval),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const lost = outcomes.find((outcome) => outcome.status === 'rejected');
    expect(lost?.reason).toMatchObject({ reason: 'ALREADY_DECIDED', kind: 'wrong_state' });
    const { row } = await world.queue.get(requestId);
    expect(String(lost?.reason)).toContain(`${row.state} by ${row.decidedBy} at 20`);
  });

  it('is refused by the expiry of the sealed record, though the row says otherwise', async () => {
    const { requestId } = await world.paired();

    await world.temporary.store.unitOfWork.run((unit) =>
      unit.tables.update(PairingRequestRow, { requestId }, { expiresAt: 4_000_000_000_000 }),
    );
    world.clock.advance(25 * 3_600_000);
    expect((await refusal(world.approve(requestId))).reason).toBe('REQUEST_EXPIRED');
    expect((await refusal(world.decisions.reject(admin, requestId, ''))).reason).toBe('REQUEST_EXPIRED');
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { makeCsr } from '../../src/ca/csr-maker.js';
import { describeError } from '../../src/cli/error-report.js';
import { callCollect } from '../../src/client/device/collect-call.js';
import { newCertificateKey } from '../../src/client/device/device-keys.js';
import { openBundleChannel } from '../../src/client/grpc/bundle-channel.js';
import type { OperatorClient } from '../../src/client/operator-client.js';
import {
  PairHello,
  PairProof,
  type PairRequest,
  type PairResponse,
  PairWelcome,
} from '../../src/generated/palyra/controlplane/v1/node_service.js';
import { ClientKind, PairingCodeKind } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { newDeviceId } from '../../src/identity/device-id.js';
import { rawIdentityKey, signWithIdentity } from '../../src/identity/ed25519.js';
import { parsePinCode } from '../../src/pairing/protocol/code.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { Scalar } from '../../src/spake2plus/p256.js';
import { systemClock } from '../../src/time/clock.js';
import { makeRoot } from '../cli/pki.js';
import { TestDevice, approving, failureOf, mintPin } from './paired-device.js';
import { RawPairing } from './raw-pairing.js';
import { Relay } from './relay.js';
import { ServiceProcess } from './service-process.js';
import { newKeyPair } from '../../src/random/key-pair.js';

/** What the relay makes of one field, and the reason for which the device then stops. */
type FieldEdit<Value> = readonly [edit: (value: Value) => Value | Promise<Value>, reason: string];
/** The type makes a new field of the proto ask for an edit of its own. */
type FieldEdits<Message> = { readonly [Field in keyof Message]: FieldEdit<Message[Field]> };

const newIdentityKey = (): Buffer => rawIdentityKey(newKeyPair('ed25519').privateKey);
const newRequest = (): Buffer => makeCsr(newCertificateKey());
const newPoint = (): Buffer => Scalar.random(systemRandomBytes).multiplyBase().encode();
const newSignature = (): Buffer =>
  signWithIdentity(newKeyPair('ed25519').privateKey, Buffer.from('another statement'));

/** Every edit keeps the form that its field must have, wherever more than one value has it. */
const HELLO_EDITS: FieldEdits<PairHello> = {
  version: [() => '3', 'UNSUPPORTED_VERSION'],
  suite: [() => 'P256-SHA512-HKDF-SHA512-HMAC-SHA512', 'UNSUPPORTED_SUITE'],
  codeId: [() => otherCodeId, 'CONFIRMATION_FAILED'],
  deviceId: [() => newDeviceId(systemClock, systemRandomBytes), 'CONFIRMATION_FAILED'],
  clientKind: [() => ClientKind.CLIENT_KIND_DESKTOP, 'CONFIRMATION_FAILED'],
  platform: [(platform) => `${platform}-x64`, 'CONFIRMATION_FAILED'],
  identityKey: [newIdentityKey, 'CONFIRMATION_FAILED'],
  csrHash: [() => createHash('sha256').update(newRequest()).digest(), 'CONFIRMATION_FAILED'],
  shareP: [newPoint, 'CONFIRMATION_FAILED'],
};
const WELCOME_EDITS: FieldEdits<PairWelcome> = {
  trustDomain: [(domain) => `x${domain}`, 'CONFIRMATION_FAILED'],
  grpcEndpoints: [(endpoints) => ['127.0.0.1:1', ...endpoints], 'CONFIRMATION_FAILED'],
  quicEndpoints: [(endpoints) => ['127.0.0.1:1', ...endpoints], 'CONFIRMATION_FAILED'],
  epoch: [(epoch) => epoch + 1n, 'CONFIRMATION_FAILED'],
  sequence: [(sequence) => sequence + 1n, 'CONFIRMATION_FAILED'],
  roots: [async (roots) => [...roots, (await makeRoot('Relay')).der], 'CONFIRMATION_FAILED'],
  shareV: [newPoint, 'CONFIRMATION_FAILED'],
  confirmV: [() => randomBytes(32), 'CONFIRMATION_FAILED'],
};
const PROOF_EDITS: FieldEdits<PairProof> = {
  confirmP: [() => randomBytes(32), 'PAIRING_REFUSED'],
  csr: [newRequest, 'CSR_HASH_MISMATCH'],
  identitySignature: [newSignature, 'IDENTITY_SIGNATURE'],
};

type PairMessage = PairRequest | PairResponse;
type MessageKind = 'hello' | 'welcome' | 'proof' | 'receipt';

/** A live code that the device does not use. */
let otherCodeId: string;

describe('a relay between device and service', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  let relay: Relay;
  let device: TestDevice;

  beforeAll(async () => {
    service = await ServiceProcess.start({ PALYRA_PAIRING_STARTS_PER_MINUTE_PER_ADDRESS: '1000' });
    operator = await service.operator();
    otherCodeId = parsePinCode(await mintPin(operator)).codeId;
  });

  beforeEach(async () => {
    const { trustDomain } = await operator.getStatus();
    relay = await Relay.start(service.grpc, trustDomain);
    device = await TestDevice.create();
  });

  afterEach(async () => {
    relay.stop();
    await device.remove();
  });

  afterAll(async () => {
    await service.remove();
  });

  /** Whatever a pairing could have left on the server, but the tries: their rows, and what housekeeping audits of them. */
  function granted(): unknown {
    const { pairing_try: _tries, audit_head: _head, audit_entry: entries, ...tables } = service.tables();
    return { ...tables, entries: entries?.filter((entry) => !entry.includes('"pairing.tried"')) };
  }

  /** Pairs through the relay, which changes one field of one message; returns what the device stopped with. */
  async function pairEdited<Message extends object>(
    kind: 'hello' | 'welcome' | 'proof',
    field: keyof Message,
    edits: FieldEdits<Message>,
  ): Promise<unknown> {
    const code = await mintPin(operator);
    const before = granted();
    const changes: [Message, Message][] = [];
    const edit = async (message: Message): Promise<Message> => {
      const after = { ...message, [field]: await edits[field][0](message[field]) };
      changes.push([message, after]);
      return after;
    };
    Object.assign(relay.edits, { [kind]: edit });
    const error = await failureOf(device.pair(relay.endpoint, code, approving(operator)));
    expect(changes).toHaveLength(1);
    expect(changes[0]![1]).not.toEqual(changes[0]![0]);
    expect(granted()).toEqual(before);
    return error;
  }

  function expectRefusal(error: unknown, reason: string): void {
    expect(error).toMatchObject({ reason });
    expect(describeError(error).exitCode).toBeGreaterThan(0);
  }

  async function expectNoTrace(): Promise<void> {
    expect(relay.passed).toMatchObject({ hellos: 1, proofs: 0, receipts: 0 });
    expect(await device.traces()).toEqual([]);
  }

  it('that changes nothing lets the device pair', async () => {
    const code = await mintPin(operator);
    const certificate = await device.pair(relay.endpoint, code, approving(operator));
    expect(relay.passed).toEqual({ hellos: 1, welcomes: 1, proofs: 1, receipts: 1 });
    expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
    // The certificate came on another connection: with the relay's the device does not collect.
    expect(certificate.cluster.grpcEndpoints).toEqual([relay.endpoint.text, service.grpc.text]);
  });

  it('is not let into the handshake of a device with a link', async () => {
    const { secretText } = await operator.createPairingCode({
      kind: PairingCodeKind.PAIRING_CODE_KIND_LINK,
    });
    const error = await failureOf(device.pair(relay.endpoint, secretText, approving(operator)));
    expect(error).toMatchObject({ failure: 'refused', reason: 'FALSE_SERVER' });
    expect(relay.passed.hellos).toBe(0);
    expect(await device.traces()).toEqual([]);
  });

  it.each([
    ['hello', PairHello.fromPartial({}), HELLO_EDITS],
    ['welcome', PairWelcome.fromPartial({}), WELCOME_EDITS],
    ['proof', PairProof.fromPartial({}), PROOF_EDITS],
  ])('is tried with every field of %s', (_message, empty, edits) => {
    expect(Object.keys(edits).sort()).toEqual(Object.keys(empty).sort());
  });

  const fieldsOf = <Message extends object>(edits: FieldEdits<Message>): (keyof Message)[] =>
    Object.keys(edits) as (keyof Message)[];

  it.each(fieldsOf(HELLO_EDITS))('that changes hello.%s gets no proof', async (field) => {
    expectRefusal(await pairEdited('hello', field, HELLO_EDITS), HELLO_EDITS[field][1]);
    await expectNoTrace();
  });

  it.each(fieldsOf(WELCOME_EDITS))('that changes welcome.%s gets no proof', async (field) => {
    expectRefusal(await pairEdited('welcome', field, WELCOME_EDITS), WELCOME_EDITS[field][1]);
    await expectNoTrace();
  });

  it.each(fieldsOf(PROOF_EDITS))('that changes proof.%s gets no request recorded', async (field) => {
    expectRefusal(await pairEdited('proof', field, PROOF_EDITS), PROOF_EDITS[field][1]);
    expect(relay.passed).toEqual({ hellos: 1, welcomes: 1, proofs: 1, receipts: 0 });
    expect(await device.records()).toEqual([]);
  });

  describe('that drops, replays and reorders', () => {
    let code: string;
    let before: unknown;

    beforeEach(async () => {
      code = await mintPin(operator);
      before = granted();
    });

    const dropping =
      (dropped: MessageKind) =>
      <Message extends PairMessage>(message: Message): Message[] =>
        message.message?.$case === dropped ? [] : [message];

    const tryThrough = (): Promise<unknown> =>
      failureOf(device.pair(relay.endpoint, code, approving(operator)));

    /** Nothing was granted on the server, and the device says what happened and keeps nothing. */
    async function expectNothing(error: unknown, reason: string): Promise<void> {
      expectRefusal(error, reason);
      expect(granted()).toEqual(before);
      expect(await device.records()).toEqual([]);
    }

    /** A handshake of the device, up to the proof, which the relay keeps for itself. */
    async function recordedCall(): Promise<{ hello: PairHello; welcome: PairWelcome; proof: PairProof }> {
      relay.tampering = { toService: dropping('proof') };
      await expectNothing(await tryThrough(), 'SERVER_UNREACHABLE');
      relay.tampering = {};
      const { requests, responses } = relay.recorded[0]!;
      const [hello, proof] = [requests[0]?.message, requests[1]?.message];
      const welcome = responses[0]?.message;
      if (hello?.$case !== 'hello' || proof?.$case !== 'proof' || welcome?.$case !== 'welcome') {
        throw new Error('the relay has not recorded a handshake');
      }
      return { hello: hello.value, welcome: welcome.value, proof: proof.value };
    }

    it.each(['hello', 'welcome', 'proof'] as const)('gets nothing by dropping %s', async (dropped) => {
      relay.tampering = { toService: dropping(dropped), toDevice: dropping(dropped) };
      await expectNothing(await tryThrough(), 'SERVER_UNREACHABLE');
    });

    it('cannot keep the certificate from the device by dropping the receipt', async () => {
      relay.tampering = { toDevice: dropping('receipt') };
      const { fingerprint } = await device.pair(relay.endpoint, code, approving(operator));
      expect(device.paired.fingerprint).toBe(fingerprint);
    });

    it('makes one request of a proof that it sends twice', async () => {
      relay.tampering = {
        toService: (request) => (request.message?.$case === 'proof' ? [request, request] : [request]),
      };
      const rows = service.tables()['pairing_request']!.length;
      await device.pair(relay.endpoint, code, approving(operator));
      expect(service.tables()['pairing_request']).toHaveLength(rows + 1);
    });

    it('gets nothing by sending hello twice, or a proof before it', async () => {
      const { proof } = await recordedCall();
      for (const [first, second] of [
        ['hello', 'hello'],
        ['proof', 'hello'],
      ]) {
        relay.tampering = {
          toService: (request) =>
            request.message?.$case !== 'hello' || first === second
              ? [request, request]
              : [{ message: { $case: 'proof', value: proof } }, request],
        };
        await expectNothing(await tryThrough(), 'UNEXPECTED_MESSAGE');
      }
    });

    it('gets nothing by sending the receipt before the welcome', async () => {
      relay.tampering = { toDevice: (response) => [{ message: { $case: 'receipt', value: {} } }, response] };
      await expectNothing(await tryThrough(), 'FALSE_SERVER');
    });

    it('gets nothing by replaying a welcome, and nothing by replaying a hello with its proof', async () => {
      const { hello, welcome, proof } = await recordedCall();
      relay.tampering = { toDevice: () => [{ message: { $case: 'welcome', value: welcome } }] };
      await expectNothing(await tryThrough(), 'CONFIRMATION_FAILED');

      // The code has a try left, and the proof was right for the handshake that it was made in.
      const stranger = new RawPairing(service.grpc);
      expect((await stranger.replay(hello, proof)).code).toBe('UNAUTHENTICATED');
      stranger.close();
      expect(granted()).toEqual(before);
    });

    it('gets nothing by mixing two handshakes that it began with one hello', async () => {
      const other = new RawPairing(service.grpc);
      let welcome: PairWelcome | undefined;
      relay.tampering = {
        toService: async (request) => {
          if (request.message?.$case === 'hello') welcome = await other.welcomeTo(request.message.value);
          return [request];
        },
        toDevice: (response) =>
          response.message?.$case === 'welcome'
            ? [{ message: { $case: 'welcome', value: welcome! } }]
            : [response],
      };
      await expectNothing(await tryThrough(), 'PAIRING_REFUSED');
      expect(relay.passed).toMatchObject({ welcomes: 1, proofs: 1, receipts: 0 });
      other.close();
    });

    it('gets nothing by collecting with what it has seen', async () => {
      await device.pairUntilWaiting(relay.endpoint, code);
      const [call] = relay.recorded;
      const seen = [...call!.requests, ...call!.responses].flatMap(({ message }) =>
        Object.values(message?.value ?? {}).filter((field): field is Buffer => Buffer.isBuffer(field)),
      );
      const tokens = seen.flatMap((bytes) => [
        bytes.subarray(0, 32),
        createHash('sha256').update(bytes).digest(),
      ]);
      expect(tokens.length).toBeGreaterThan(10);
      const { cluster } = (await device.pending())!;
      for (const token of tokens) {
        const collecting = callCollect(
          openBundleChannel(service.grpc, cluster),
          token,
          new AbortController().signal,
        );
        expect(await failureOf(collecting.next())).toMatchObject({ reason: 'NOTHING_TO_COLLECT' });
      }
      expect((await device.resume(approving(operator))).chain.length).toBeGreaterThan(0);
    });
  });
});

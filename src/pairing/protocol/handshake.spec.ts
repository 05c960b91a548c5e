import { beforeAll, describe, expect, it } from '@jest/globals';
import { createPrivateKey, type KeyObject } from 'node:crypto';
import {
  fieldsOf,
  helloInput,
  type HelloVector,
  hex,
  readPairingVector,
  welcomeInput,
} from '../../../test/pairing/pairing-vector.js';
import { DomainError, malformed } from '../../errors/domain-error.js';
import type { ClientKind } from '../../identity/device-identity.js';
import { rawIdentityKey } from '../../identity/ed25519.js';
import { deriveSessionKeys } from '../../spake2plus/key-schedule.js';
import { Point, Scalar } from '../../spake2plus/p256.js';
import { decoyVerifier, makeVerifier, type Verifier } from '../../spake2plus/verifier.js';
import { systemRandomBytes } from '../../random/random-bytes.js';
import { type DeviceStart, startHandshake } from './device-handshake.js';
import { parseCodeOrLink } from './link.js';
import { type CheckedHello, parseHello, parseWelcome, type Proof, type Welcome } from './messages.js';
import { derivePassword, type PasswordScalars } from './password.js';
import { type PendingProof, respondToHello } from './server-handshake.js';
import {
  collectTokenHash,
  handshakeIdentities,
  identityStatement,
  transcriptHash,
  transcriptPreimage,
} from './transcript.js';

/** Kind and reason of the DomainError that `run` throws, or `nothing`. */
function thrown(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof DomainError) return `${error.kind} ${error.reason}`;
    throw error;
  }
  return 'nothing';
}

describe.each(['pairing-pin', 'pairing-link'])('%s.json', (file) => {
  const vector = readPairingVector(file);
  const code = parseCodeOrLink(vector.code.text);
  const identityKey: KeyObject = createPrivateKey({
    key: hex(vector.identity.pkcs8),
    format: 'der',
    type: 'pkcs8',
  });
  const password: PasswordScalars = { w0: hex(vector.password.w0), w1: hex(vector.password.w1) };
  const verifier = makeVerifier(password.w0, password.w1);
  const scalar = (text: string): Scalar => Scalar.of(hex(text));
  const accepted = welcomeInput(vector.welcome);
  const fields = fieldsOf(accepted);
  const takeAnyRequest = (csr: Buffer): Buffer => csr;

  const unpinnedStart = (): DeviceStart => ({
    codeId: code.codeId,
    password,
    deviceId: vector.hello.device_id,
    clientKind: vector.hello.client_kind as ClientKind,
    platform: vector.hello.platform,
    identityKey,
    csr: hex(vector.csr),
    x: scalar(vector.x),
  });
  const deviceStart = (changes: Partial<DeviceStart> = {}): DeviceStart => ({
    ...unpinnedStart(),
    ...(code.kind === 'link' ? { ca: code.ca } : {}),
    ...changes,
  });
  const respond = (
    hello: CheckedHello,
    to: Verifier = verifier,
  ): { welcome: Welcome; pending: PendingProof } =>
    respondToHello({ hello, verifier: to, fields, y: scalar(vector.y) });
  const pendingOf = (hello: HelloVector = vector.hello): PendingProof =>
    respond(parseHello(helloInput(hello))).pending;
  const proof = (changes: Partial<Proof> = {}): Proof => ({
    confirmP: hex(vector.proof.confirm_p),
    csr: hex(vector.proof.csr),
    identitySignature: hex(vector.proof.signature),
    ...changes,
  });
  const judge = (pending: PendingProof, given: Proof): string => {
    const outcome = pending.check(given, takeAnyRequest);
    return outcome.kind === 'fault' ? `fault ${outcome.error.reason}` : outcome.kind;
  };

  describe('the whole way', () => {
    let derived: PasswordScalars;
    beforeAll(async () => {
      derived = await derivePassword(code);
    });

    it('derives the password', () => {
      expect(derived).toEqual(password);
      expect(makeVerifier(derived.w0, derived.w1).L).toEqual(hex(vector.password.L));
    });

    it('gives each message and T', () => {
      const device = startHandshake(deviceStart({ password: derived }));
      expect({ ...device.hello }).toEqual(helloInput(vector.hello));

      const { welcome, pending } = respond(parseHello(device.hello));
      expect(welcome).toEqual(accepted);
      expect(transcriptPreimage(device.hello, welcome).toString('hex')).toBe(vector.t_preimage);

      const server = device.handleWelcome(parseWelcome(welcome));
      expect(server.transcript).toEqual(hex(vector.t));
      expect(server.collectToken).toEqual(hex(vector.collect_token));
      expect(identityStatement(server.transcript)).toEqual(hex(vector.proof.signed));
      expect(server.makeProof()).toEqual(proof());

      expect(pending.check(server.makeProof(), takeAnyRequest)).toEqual({
        kind: 'verified',
        hello: parseHello(device.hello),
        transcript: hex(vector.t),
        collectToken: hex(vector.collect_token),
        request: hex(vector.csr),
      });
      expect(collectTokenHash(server.collectToken)).toEqual(hex(vector.collect_token_hash));
    });

    it('binds T, device id and trust domain as the RFC has it', () => {
      const { context, id_prover, id_verifier } = vector.spake2plus;
      expect(handshakeIdentities(hex(vector.t), vector.hello.device_id, vector.welcome.trust_domain)).toEqual(
        { context: hex(context), prover: hex(id_prover), verifier: hex(id_verifier) },
      );
    });
  });

  describe('the device', () => {
    it.each(vector.refused.altered_welcomes)('stops at an altered welcome: $case', (refused) => {
      const device = startHandshake(deviceStart());
      const welcome = parseWelcome(welcomeInput(refused.welcome));
      expect(thrown(() => device.handleWelcome(welcome))).toBe('unauthenticated CONFIRMATION_FAILED');
    });

    it.each(vector.refused.altered_welcomes)(
      'would have gone on with the confirmV it expects: $case',
      (refused) => {
        const device = startHandshake(unpinnedStart());
        const expected = welcomeInput({ ...refused.welcome, confirm_v: refused.device_expects_confirm_v });
        const server = device.handleWelcome(parseWelcome(expected));
        expect(server.transcript).toEqual(transcriptHash(device.hello, expected));
      },
    );

    it.each(vector.refused.shares)('refuses the share: $case', ({ share, reason }) => {
      const device = startHandshake(deviceStart());
      const input = { ...accepted, shareV: hex(share) };
      if (reason === 'point') {
        expect(thrown(() => parseWelcome(input))).toBe('malformed INVALID_SHARE');
      } else {
        // On the device the share that makes Z infinite is w0·N.
        const welcome = parseWelcome({ ...accepted, shareV: verifier.w0N });
        expect(thrown(() => device.handleWelcome(welcome))).toBe('unauthenticated CONFIRMATION_FAILED');
      }
    });

    it('with another code stops, and the server would not have taken its proof', async () => {
      const wrong = vector.refused.wrong_code;
      const other = await derivePassword(parseCodeOrLink(wrong.device_code.text));
      const device = startHandshake(deviceStart({ password: other }));
      expect(device.hello.shareP).toEqual(hex(wrong.share_p));

      const { welcome, pending } = respond(parseHello(device.hello));
      expect(welcome.confirmV).toEqual(hex(wrong.server_confirm_v));
      expect(thrown(() => device.handleWelcome(parseWelcome(welcome)))).toBe(
        'unauthenticated CONFIRMATION_FAILED',
      );
      const sent = proof({ confirmP: hex(wrong.device_would_send_confirm_p) });
      expect(judge(pending, sent)).toBe('wrong_proof');
    });

    it('with another code expects other confirmations', async () => {
      const wrong = vector.refused.wrong_code;
      const other = await derivePassword(parseCodeOrLink(wrong.device_code.text));
      const device = startHandshake(deviceStart({ password: other }));
      const { welcome, pending } = respond(parseHello(device.hello));
      const server = device.handleWelcome(
        parseWelcome({ ...welcome, confirmV: hex(wrong.device_expects_confirm_v) }),
      );
      expect(server.makeProof().confirmP).toEqual(hex(wrong.device_would_send_confirm_p));
      expect(judge(pending, proof({ confirmP: hex(wrong.server_expects_confirm_p) }))).toBe(
        'fault IDENTITY_SIGNATURE',
      );
    });

    it('stops when no root of the confirmed welcome has the key of its link', () => {
      const device = startHandshake(deviceStart({ ca: Buffer.alloc(32, 1) }));
      const { welcome } = respond(parseHello(device.hello));
      expect(thrown(() => device.handleWelcome(parseWelcome(welcome)))).toBe('unauthenticated CA_MISMATCH');
    });

    it('looks at the roots after confirmV only', () => {
      const device = startHandshake(deviceStart({ ca: Buffer.alloc(32, 1) }));
      const false_ = { ...accepted, confirmV: Buffer.alloc(32) };
      expect(thrown(() => device.handleWelcome(parseWelcome(false_)))).toBe(
        'unauthenticated CONFIRMATION_FAILED',
      );
    });

    it('takes a root among several, not only the first', () => {
      const roots = [Buffer.from('no certificate'), ...accepted.roots];
      const device = startHandshake(deviceStart());
      const { welcome } = respondToHello({
        hello: parseHello(device.hello),
        verifier,
        fields: { ...fields, roots },
        y: scalar(vector.y),
      });
      expect(device.handleWelcome(parseWelcome(welcome)).welcome.roots).toEqual(roots);
    });

    it('takes one welcome only', () => {
      const device = startHandshake(deviceStart());
      const welcome = parseWelcome(accepted);
      device.handleWelcome(welcome);
      expect(() => device.handleWelcome(welcome)).toThrow('it takes one welcome');
    });
  });

  describe('the server', () => {
    it.each(vector.refused.altered_hellos)('refuses the proof behind an altered hello: $case', (refused) => {
      const given = proof({ confirmP: hex(refused.confirm_p) });
      expect(judge(pendingOf(refused.hello), given)).toBe('wrong_proof');
    });

    it.each(vector.refused.altered_hellos)('expected another confirmP: $case', (refused) => {
      const given = proof({ confirmP: hex(refused.server_expects_confirm_p) });
      expect(judge(pendingOf(refused.hello), given)).toMatch(
        /^fault (?:IDENTITY_SIGNATURE|CSR_HASH_MISMATCH)$/,
      );
    });

    it.each(vector.refused.shares)('refuses the share: $case', ({ share, reason }) => {
      const input = { ...helloInput(vector.hello), shareP: hex(share) };
      if (reason === 'point') {
        expect(thrown(() => parseHello(input))).toBe('malformed INVALID_SHARE');
      } else {
        expect(hex(share)).toEqual(verifier.w0M);
        const { welcome, pending } = respond(parseHello(input));
        expect(parseWelcome(welcome).confirmV).toHaveLength(32);
        expect(judge(pending, proof())).toBe('wrong_proof');
      }
    });

    it('refuses a share that makes Z infinite even with the confirmP of what stands in for Z', () => {
      const hello = parseHello({ ...helloInput(vector.hello), shareP: verifier.w0M });
      const { welcome, pending } = respond(hello);
      const L = Point.parse(verifier.L);
      const standIn = deriveSessionKeys(
        handshakeIdentities(transcriptHash(hello, welcome), hello.deviceId, welcome.trustDomain),
        {
          shareP: hello.shareP,
          shareV: welcome.shareV,
          Z: scalar(vector.y).multiply(L.double()),
          V: scalar(vector.y).multiply(L),
          w0: verifier.w0,
        },
      );
      expect(welcome.confirmV).toEqual(standIn.confirmV);
      expect(judge(pending, proof({ confirmP: standIn.confirmP }))).toBe('wrong_proof');
    });

    it.each(vector.refused.identity_keys)('refuses the identity key in hello: $case', (refused) => {
      const input = { ...helloInput(vector.hello), identityKey: hex(refused.identity_key) };
      expect(thrown(() => parseHello(input))).toBe('malformed INVALID_IDENTITY_KEY');
    });

    it.each(vector.refused.signatures)('refuses the signature: $case', (refused) => {
      const given = proof({ identitySignature: hex(refused.signature) });
      expect(judge(pendingOf(), given)).toBe('fault IDENTITY_SIGNATURE');
    });

    it('answers with a decoy as with a verifier, and takes no proof for it', () => {
      const decoy = decoyVerifier(systemRandomBytes);
      const device = startHandshake(deviceStart());
      const { welcome, pending } = respond(parseHello(device.hello), decoy);
      expect(thrown(() => device.handleWelcome(parseWelcome(welcome)))).toBe(
        'unauthenticated CONFIRMATION_FAILED',
      );
      expect(judge(pending, proof())).toBe('wrong_proof');
    });

    it('checks confirmP before it looks at anything else', () => {
      const nothingRight: Proof = {
        confirmP: Buffer.alloc(32),
        csr: Buffer.alloc(0),
        identitySignature: Buffer.alloc(0),
      };
      const neverCalled = (): never => {
        throw new Error('the request was looked at');
      };
      expect(pendingOf().check(nothingRight, neverCalled)).toEqual({ kind: 'wrong_proof' });
      for (const length of [0, 31, 33]) {
        const confirmP = Buffer.alloc(length);
        hex(vector.proof.confirm_p).copy(confirmP);
        expect(judge(pendingOf(), proof({ confirmP }))).toBe('wrong_proof');
      }
    });

    it('checks the hash of the request before the request', () => {
      const other = Buffer.concat([hex(vector.csr), Buffer.from([0])]);
      const neverCalled = (): never => {
        throw new Error('the request was looked at');
      };
      const outcome = pendingOf().check(proof({ csr: other }), neverCalled);
      expect(outcome.kind === 'fault' && outcome.error.reason).toBe('CSR_HASH_MISMATCH');
    });

    it('checks the request before the signature and tells its fault', () => {
      const refuse = (): never => {
        throw malformed('INVALID_CSR', 'no');
      };
      const outcome = pendingOf().check(proof({ identitySignature: Buffer.alloc(64) }), refuse);
      expect(outcome.kind === 'fault' && outcome.error.reason).toBe('INVALID_CSR');
    });

    it('does not take a failure of its own for a fault of the device', () => {
      const fail = (): never => {
        throw new DomainError('unavailable', 'STORE', 'later');
      };
      expect(() => pendingOf().check(proof(), fail)).toThrow('later');
    });

    it('takes one proof only, and none once discarded', () => {
      const pending = pendingOf();
      expect(judge(pending, proof({ confirmP: Buffer.alloc(32) }))).toBe('wrong_proof');
      expect(() => judge(pending, proof())).toThrow('it takes one proof');
      const discarded = pendingOf();
      discarded.discard();
      discarded.discard();
      expect(() => judge(discarded, proof())).toThrow('it takes one proof');
    });
  });

  it('names the identity key by its raw bytes', () => {
    expect(rawIdentityKey(identityKey)).toEqual(hex(vector.hello.identity_key));
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomInt } from 'node:crypto';
import { codeRecordName, decodeCodeRecord, encodeCodeRecord } from '../../src/pairing/pairing-record.js';
import { parsePinCode } from '../../src/pairing/protocol/code.js';
import { type HelloInput, parseHello } from '../../src/pairing/protocol/messages.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { Scalar } from '../../src/spake2plus/p256.js';
import { rounds, timeLimit } from '../scale.js';
import { cheapPassword } from './cheap-password.js';
import { PLAIN, type Recording, pinsThatFit } from './offline-attack.js';
import { PairingWorld, admin, newTestDevice } from './pairing-world.js';

/** PINs that are tested, the right one among them. */
const PINS = rounds(50, 10_000);

describe('a recorded handshake', () => {
  let world: PairingWorld;

  // What scrypt costs the attacker is not the point here: not even a free one must help.
  beforeAll(async () => {
    world = await PairingWorld.open({ passwordOf: cheapPassword });
  });

  afterAll(async () => {
    await world.remove();
  });

  async function mintPin(): Promise<{ codeId: string; pin: string; secretText: string }> {
    const { secretText } = await world.codes.mint(admin, { kind: 'pin' });
    return { ...parsePinCode(secretText), secretText };
  }

  /** Somebody who plays the device without the PIN, with a share of which he knows everything. */
  async function recordedAsDevice(codeId: string): Promise<Recording> {
    const x = Scalar.random(systemRandomBytes);
    const shareP = x.multiplyBase().add(PLAIN)!.encode();
    const hello: HelloInput = { ...world.stranger(codeId).hello, shareP };
    const session = await world.server.begin(hello, '203.0.113.9');
    session.end();
    return { hello: parseHello(hello), welcome: session.welcome, x };
  }

  /** Somebody on the way of a device that has the right PIN: everything it says and is told. */
  async function recordedOnTheWay(secretText: string): Promise<Recording> {
    const { hello, confirmed, session } = await world.hello(newTestDevice(), secretText);
    const { confirmP } = confirmed.makeProof();
    session.end();
    return { hello, welcome: session.welcome, confirmP: Buffer.from(confirmP) };
  }

  /** The server's code loses its blinding: w0·M and w0·N become a point that does not depend on the PIN. */
  async function withoutBlinding(codeId: string): Promise<void> {
    await world.temporary.store.unitOfWork.run(async ({ secrets }) => {
      const record = decodeCodeRecord(codeId, (await secrets.read(codeRecordName(codeId)))!);
      const plain = PLAIN.encode();
      const verifier = { ...record.verifier, w0M: plain, w0N: plain };
      await secrets.write(codeRecordName(codeId), encodeCodeRecord({ ...record, verifier }));
    });
  }

  /** Some of the million, the right one at any place among them. */
  function* some(pin: string): Generator<string> {
    const place = randomInt(PINS);
    for (let index = 0; index < PINS; index += 1) {
      yield index === place ? pin : String((Number(pin) + 1 + index) % 1_000_000).padStart(6, '0');
    }
  }

  it(
    'fits no PIN, not even the right one, for whoever played the device or was on its way',
    async () => {
      const played = await mintPin();
      const asDevice = await recordedAsDevice(played.codeId);
      expect(await pinsThatFit(asDevice, some(played.pin), cheapPassword)).toEqual([]);

      const listened = await mintPin();
      const onTheWay = await recordedOnTheWay(listened.secretText);
      expect(await pinsThatFit(onTheWay, some(listened.pin), cheapPassword)).toEqual([]);
    },
    timeLimit(60_000, 100),
  );

  it(
    'gives the PIN away to the same attack when the server does not blind',
    async () => {
      const { codeId, pin } = await mintPin();
      await withoutBlinding(codeId);
      const recording = await recordedAsDevice(codeId);
      expect(await pinsThatFit(recording, some(pin), cheapPassword)).toEqual([pin]);
    },
    timeLimit(60_000, 100),
  );
});

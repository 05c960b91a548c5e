import type { CheckedHello, Welcome } from '../../src/pairing/protocol/messages.js';
import type { PasswordScalars, derivePassword } from '../../src/pairing/protocol/password.js';
import { handshakeIdentities, transcriptHash } from '../../src/pairing/protocol/transcript.js';
import {
  type Identities,
  POINT_M,
  POINT_N,
  type SessionKeys,
  deriveSessionKeys,
} from '../../src/spake2plus/key-schedule.js';
import { Point, Scalar } from '../../src/spake2plus/p256.js';

/** One handshake as somebody has it who was on its way, or who played the device himself. */
export interface Recording {
  readonly hello: CheckedHello;
  readonly welcome: Welcome;
  /** Of a device that believed the welcome. */
  readonly confirmP?: Buffer;
  /** The scalar behind shareP, if the attacker has made it: shareP = x·G + {@link PLAIN}. */
  readonly x?: Scalar;
}

/** Stands where a blinding would: a point that everybody knows. */
export const PLAIN: Point = Scalar.of(Buffer.from('1'.padStart(64, '0'), 'hex')).multiplyBase();

/**
 * Tests PINs against one recorded handshake, away from the server, and returns those that fit: for which one of the
 * recorded confirmations follows from a Z and a V that can be made of what was recorded. Those are the products of the
 * shares, as they are or unblinded for this PIN, with all scalars that the attacker has.
 *
 * With the blinding in place a server's Z is x·y·G − w0·y·M, and nobody else has y·M. Where the server leaves it away, Z is
 * x·y·G and V is w1·y·G, both can be made, and one hello is enough to test every PIN there is.
 */
export async function pinsThatFit(
  recording: Recording,
  pins: Iterable<string>,
  passwordOf: typeof derivePassword,
): Promise<string[]> {
  const { hello, welcome } = recording;
  const identities = handshakeIdentities(transcriptHash(hello, welcome), hello.deviceId, welcome.trustDomain);
  const found: string[] = [];
  for (const pin of pins) {
    const password = await passwordOf({ kind: 'pin', codeId: hello.codeId, pin });
    if (fits(recording, identities, password)) found.push(pin);
  }
  return found;
}

function fits(recording: Recording, identities: Identities, { w0, w1 }: PasswordScalars): boolean {
  const { hello, welcome, x } = recording;
  const blinding = Scalar.of(w0);
  const [shareP, shareV] = [Point.parse(hello.shareP), Point.parse(welcome.shareV)];
  const points = [
    shareV,
    shareV.add(PLAIN.negate()),
    shareV.add(blinding.multiply(POINT_N).negate()),
    shareP.add(blinding.multiply(POINT_M).negate()),
  ].filter((point) => point !== undefined);
  const times = (scalar: Scalar): Point[] => points.map((point) => scalar.multiply(point));
  const byPassword = times(Scalar.of(w1));
  const secrets = [...points, ...byPassword, ...(x === undefined ? [] : times(x))];
  return secrets.some((Z) =>
    byPassword.some((V) =>
      confirms(recording, deriveSessionKeys(identities, { ...shares(recording), Z, V, w0 })),
    ),
  );
}

const shares = ({ hello, welcome }: Recording): { shareP: Uint8Array; shareV: Uint8Array } => ({
  shareP: hello.shareP,
  shareV: welcome.shareV,
});

function confirms({ welcome, confirmP }: Recording, keys: SessionKeys): boolean {
  return keys.confirmV.equals(welcome.confirmV) || (confirmP !== undefined && keys.confirmP.equals(confirmP));
}

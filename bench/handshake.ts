import { createECDH, randomBytes } from 'node:crypto';
import { makeCsr } from '../src/ca/csr-maker.js';
import { verifyCsr } from '../src/ca/csr.js';
import { makeRoot } from '../src/ca/root-record.js';
import { newDeviceId } from '../src/identity/device-id.js';
import { startHandshake } from '../src/pairing/protocol/device-handshake.js';
import { parseHello, parseWelcome, type CheckedHello, type Proof } from '../src/pairing/protocol/messages.js';
import { respondToHello } from '../src/pairing/protocol/server-handshake.js';
import { handshakeIdentities, transcriptHash } from '../src/pairing/protocol/transcript.js';
import { systemRandomBytes } from '../src/random/random-bytes.js';
import { drawScalar, Scalar } from '../src/spake2plus/p256.js';
import { makeVerifier, verifierRespond, verifierShare } from '../src/spake2plus/verifier.js';
import { systemClock } from '../src/time/clock.js';
import { ratioTo, timeTogether } from './harness.js';
import type { Result } from './report.js';
import { newKeyPair } from '../src/random/key-pair.js';

const TRUST_DOMAIN = 'bench.palyra.internal';

/** The server's side of a pairing: SPAKE2+ alone, and the whole handshake around it, beside OpenSSL's bare products. */
export async function benchHandshake(): Promise<Result[]> {
  const { certificate } = await makeRoot(TRUST_DOMAIN, systemClock.now(), systemRandomBytes);
  const world = handshakeWorld(certificate.der);
  const timings = await timeTogether([
    { name: 'limit: OpenSSL products, 2 of the base point and 4 others', run: bareProducts() },
    { name: 'SPAKE2+ of the verifier', run: world.arithmetic },
    { name: 'server handshake: hello, welcome, proof, PKCS#10', run: world.whole },
  ]);
  const [limit, arithmetic, whole] = timings;
  if (!limit || !arithmetic || !whole) throw new Error('nothing was measured');
  const ratios = [
    { name: 'SPAKE2+ beside the bare products', value: ratioTo(limit, arithmetic) },
    { name: 'server handshake beside its SPAKE2+', value: ratioTo(arithmetic, whole) },
  ];
  return [{ name: 'pairing handshake, server', timings, ratios }];
}

/** What SPAKE2+ alone costs the server in one pairing. */
export async function spake2plusOfVerifier(): Promise<() => unknown> {
  const { certificate } = await makeRoot(TRUST_DOMAIN, systemClock.now(), systemRandomBytes);
  return handshakeWorld(certificate.der).arithmetic;
}

/** What y·G, (y + 1)·G, Z and V cost at least: their products, two for each, of points that are parsed for each. */
function bareProducts(): () => unknown {
  const point = createECDH('prime256v1').generateKeys();
  return () => {
    const [one, next] = [createECDH('prime256v1'), createECDH('prime256v1')];
    one.setPrivateKey(randomBytes(32).fill(0, 0, 1));
    next.setPrivateKey(randomBytes(32).fill(0, 0, 1));
    for (const product of [one, next, one, next]) product.computeSecret(point);
  };
}

function handshakeWorld(root: Buffer): { arithmetic: () => unknown; whole: () => unknown } {
  const fields = {
    trustDomain: TRUST_DOMAIN,
    grpcEndpoints: ['127.0.0.1:7443'],
    quicEndpoints: ['127.0.0.1:7444'],
    epoch: 1,
    sequence: 1,
    roots: [root],
  };
  const password = { w0: drawScalar(systemRandomBytes), w1: drawScalar(systemRandomBytes) };
  const verifier = makeVerifier(password.w0, password.w1);
  // The proof belongs to one y; each call draws another besides, as the server does.
  const y = Scalar.random(systemRandomBytes);
  const device = startHandshake({
    codeId: 'K7QM',
    password,
    deviceId: newDeviceId(systemClock, systemRandomBytes),
    clientKind: 'node',
    platform: 'linux',
    identityKey: newKeyPair('ed25519').privateKey,
    csr: makeCsr(newKeyPair('p256').privateKey),
    x: Scalar.random(systemRandomBytes),
  });
  const hello: CheckedHello = parseHello(device.hello);
  const { welcome } = respondToHello({ hello, verifier, fields, y });
  const proof: Proof = device.handleWelcome(parseWelcome(welcome)).makeProof();
  const { shareP, deviceId } = hello;

  const arithmetic = (): unknown => {
    Scalar.random(systemRandomBytes);
    const shareV = verifierShare(verifier, y);
    const transcript = transcriptHash(hello, { ...fields, shareV });
    const identities = handshakeIdentities(transcript, deviceId, fields.trustDomain);
    return verifierRespond({ verifier, y, shareP, shareV, identities });
  };
  const whole = (): unknown => {
    Scalar.random(systemRandomBytes);
    const { pending } = respondToHello({ hello: parseHello(device.hello), verifier, fields, y });
    const outcome = pending.check(proof, verifyCsr);
    if (outcome.kind !== 'verified') throw new Error(`the handshake ended as ${outcome.kind}`);
    return outcome;
  };
  return { arithmetic, whole };
}

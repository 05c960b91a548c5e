import { createPrivateKey, randomBytes, sign, verify, type KeyObject } from 'node:crypto';
import { parseCertificate } from '../src/ca/certificate-parser.js';
import { CertificateAuthority } from '../src/ca/certificate-authority.js';
import { makeCsr } from '../src/ca/csr-maker.js';
import { verifyCsr, type VerifiedCsr } from '../src/ca/csr.js';
import { openSequence, TAG, wholeBitsOf } from '../src/ca/der.js';
import { DEFAULT_CERT_VALIDITY } from '../src/ca/issued-certificate.js';
import { checkOwnOutput } from '../src/ca/output-check.js';
import { deviceProfile } from '../src/ca/profiles.js';
import { keyBitsOf, keyIdentifier, readVerifyingKey, type KeyAlgorithm } from '../src/ca/public-key.js';
import { makeRoot } from '../src/ca/root-record.js';
import { randomSerial, validityOf, type CertificateTemplate } from '../src/ca/template.js';
import { newDeviceId } from '../src/identity/device-id.js';
import { systemClock } from '../src/time/clock.js';
import { ratioTo, timeTogether, type Case } from './harness.js';
import type { Result } from './report.js';
import { newKeyPair } from '../src/random/key-pair.js';

/** PKCS#10 in → possession proved → leaf signed and checked, beside OpenSSL's own verify and sign for the same keys. */

const TRUST_DOMAIN = 'bench.palyra.internal';
/** Different keys, so that nothing lives from one key's being in a cache. */
const KEYS = 16;
const GOAL: Readonly<Record<KeyAlgorithm, number>> = { p256: 0.4, ed25519: 0.5 };

export async function benchIssuance(): Promise<Result[]> {
  const ca = await benchCa();
  return [await benchAlgorithm('p256', ca), await benchAlgorithm('ed25519', ca)];
}

async function benchCa() {
  const { root, record } = await makeRoot(TRUST_DOMAIN, systemClock.now(), randomBytes);
  const { privateKey } = JSON.parse(record.toString('utf8')) as { privateKey: string };
  const pkcs8 = Buffer.from(privateKey, 'base64');
  return {
    issuer: root.issuer,
    authority: new CertificateAuthority([root], { trustDomain: TRUST_DOMAIN, clock: systemClock }),
    key: createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }),
  };
}

type Ca = Awaited<ReturnType<typeof benchCa>>;

/** A request with everything that its stages begin with. */
interface Sample {
  readonly deviceId: string;
  readonly der: Buffer;
  readonly csr: VerifiedCsr;
  readonly info: Buffer;
  readonly signature: Buffer;
  readonly publicKey: KeyObject;
  readonly template: CertificateTemplate;
  readonly subjectKey: Buffer;
  readonly leaf: Buffer;
  readonly tbs: Buffer;
  readonly leafSignature: Buffer;
}

async function sampleOf(algorithm: KeyAlgorithm, { issuer, authority }: Ca): Promise<Sample> {
  const { privateKey, publicKey } = algorithm === 'p256' ? newKeyPair('p256') : newKeyPair('ed25519');
  const der = makeCsr(privateKey);
  const csr = verifyCsr(der);
  const request = openSequence(der);
  const info = request.next(TAG.sequence).raw;
  request.next(TAG.sequence);
  const signature = wholeBitsOf(request.next(TAG.bitString));
  const deviceId = newDeviceId(systemClock, randomBytes);
  const issued = await authority.issueDeviceCertificate({ deviceId, csr, lifetimeMs: DEFAULT_CERT_VALIDITY });
  const { tbs, serial, notBefore, notAfter, signature: leafSignature } = parseCertificate(issued.der);
  const profile = deviceProfile(TRUST_DOMAIN, deviceId);
  const template = { profile, serial, notBefore, notAfter, spki: csr.spki };
  const subjectKey = keyIdentifier(keyBitsOf(csr.spki) ?? Buffer.alloc(0));
  checkOwnOutput(issued.der, template, subjectKey, issuer);
  return {
    deviceId,
    der,
    csr,
    info,
    signature,
    publicKey,
    template,
    subjectKey,
    leaf: issued.der,
    tbs,
    leafSignature,
  };
}

async function benchAlgorithm(algorithm: KeyAlgorithm, ca: Ca): Promise<Result> {
  const samples: Sample[] = [];
  for (let key = 0; key < KEYS; key += 1) samples.push(await sampleOf(algorithm, ca));
  const cases = [
    wholeCase(ca, samples),
    limitCase(algorithm, ca, samples),
    ...stages(algorithm, ca, samples),
  ];
  const timings = await timeTogether(cases);
  const [whole, limit] = timings;
  if (!whole || !limit) throw new Error('nothing was measured');
  const goal = GOAL[algorithm];
  const ratios = [
    { name: `PKCS#10 in, leaf out, beside OpenSSL's verify + sign`, value: ratioTo(limit, whole), goal },
  ];
  return { name: `issuance, ${algorithm}`, timings, ratios };
}

/** A case that takes the samples in turn. */
function each(name: string, samples: readonly Sample[], run: (sample: Sample) => unknown): Case {
  let next = 0;
  return {
    name,
    run: () => {
      const sample = samples[next % samples.length];
      next += 1;
      return sample && run(sample);
    },
  };
}

const wholeCase = ({ authority }: Ca, samples: readonly Sample[]): Case =>
  each('PKCS#10 in, leaf out', samples, ({ der, deviceId }) => {
    const csr = verifyCsr(der);
    return authority.issueDeviceCertificate({ deviceId, csr, lifetimeMs: DEFAULT_CERT_VALIDITY });
  });

function limitCase(algorithm: KeyAlgorithm, { key }: Ca, samples: readonly Sample[]): Case {
  const digest = algorithm === 'p256' ? 'sha256' : null;
  return each('limit: OpenSSL verify + sign', samples, ({ info, publicKey, signature, tbs }) => {
    if (!verify(digest, info, publicKey, signature)) throw new Error('the request does not verify');
    return sign('sha256', tbs, key);
  });
}

function stages(algorithm: KeyAlgorithm, { issuer, key }: Ca, samples: readonly Sample[]): Case[] {
  const digest = algorithm === 'p256' ? 'sha256' : null;
  return [
    each('1 request: all of verifyCsr', samples, ({ der }) => verifyCsr(der)),
    each('  of it: import of the key', samples, ({ csr }) => readVerifyingKey(csr.spki)),
    each('  of it: OpenSSL verify', samples, ({ info, publicKey, signature }) =>
      verify(digest, info, publicKey, signature),
    ),
    each('2 template: policy and serial', samples, ({ deviceId }) => {
      deviceProfile(TRUST_DOMAIN, deviceId);
      validityOf(systemClock.now(), DEFAULT_CERT_VALIDITY, issuer.certificate);
      return randomSerial(randomBytes);
    }),
    each('3 encode', samples, ({ template, subjectKey }) => issuer.tbsEncoder.encode(template, subjectKey)),
    each('4 sign: OpenSSL', samples, ({ tbs }) => sign('sha256', tbs, key)),
    each('5 check: all of checkOwnOutput', samples, ({ leaf, template, subjectKey }) =>
      checkOwnOutput(leaf, template, subjectKey, issuer),
    ),
    each('  of it: OpenSSL verify', samples, ({ tbs, leafSignature }) =>
      verify('sha256', tbs, issuer.publicKey, leafSignature),
    ),
  ];
}

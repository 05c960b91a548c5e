import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PendingPairing } from '../../src/client/device/device-records.js';
import type { Store } from '../../src/database/open-store.js';
import { StoreRow } from '../../src/database/store.entity.js';
import { openStoreKeys } from '../../src/database/store-keys.js';
import type { PairHello, PairWelcome } from '../../src/generated/palyra/controlplane/v1/node_service.js';
import { clientKindFromProto } from '../../src/identity/client-kind-message.js';
import { parseCodeOrLink } from '../../src/pairing/protocol/link.js';
import { parseHello, parseWelcome } from '../../src/pairing/protocol/messages.js';
import { derivePassword } from '../../src/pairing/protocol/password.js';
import { handshakeIdentities, transcriptHash } from '../../src/pairing/protocol/transcript.js';
import { unwrapDataKey } from '../../src/secret-store/sealed-record.js';
import { Scalar } from '../../src/spake2plus/p256.js';
import { Prover } from '../../src/spake2plus/prover.js';
import { makeVerifier } from '../../src/spake2plus/verifier.js';
import type { Secret } from './secret-search.js';

/** Where the secrets of a run come from: each function takes them out of one place that has to know them. */

/** The text, what stands behind it, and what both sides derive from it. */
export async function secretsOfCode(name: string, text: string): Promise<Secret[]> {
  const code = parseCodeOrLink(text);
  const { w0, w1 } = await derivePassword(code);
  const own: Secret[] =
    code.kind === 'pin'
      ? [{ name: `${name}, without its dash`, bytes: Buffer.from(code.codeId + code.pin) }]
      : [{ name: `secret of ${name}`, bytes: code.secret }];
  return [
    { name, bytes: Buffer.from(text) },
    ...own,
    { name: `w0 of ${name}`, bytes: w0 },
    { name: `w1 of ${name}`, bytes: w1 },
    { name: `L of ${name}`, bytes: makeVerifier(w0, w1).L },
  ];
}

/** The whole token and the 32 bytes of its secret as text. */
export function secretsOfToken(token: string): Secret[] {
  return [
    { name: 'operator token', bytes: Buffer.from(token) },
    { name: 'secret of the operator token', bytes: Buffer.from(token.split('_')[2]!) },
  ];
}

export function secretsOfPending(name: string, pending: PendingPairing): Secret[] {
  return [
    { name: `collect token of ${name}`, bytes: pending.collectToken },
    privateKey(`identity key of ${name}`, pending.identityKey),
    privateKey(`certificate key of ${name}`, pending.certificateKey),
  ];
}

/** What went over the wire and what the device drew: enough to do its side of SPAKE2+ again. */
export interface Session {
  readonly codeText: string;
  readonly hello: PairHello;
  readonly welcome: PairWelcome;
  readonly draws: readonly Buffer[];
}

export async function secretsOfSession({ codeText, hello, welcome, draws }: Session): Promise<Secret[]> {
  const { w0, w1 } = await derivePassword(parseCodeOrLink(codeText));
  for (const x of draws.filter((draw) => draw.length === 32)) {
    const prover = new Prover(w0, w1, Scalar.of(x));
    if (!prover.shareP.equals(hello.shareP)) continue;
    const sent = parseHello({ ...hello, clientKind: clientKindFromProto(hello.clientKind) ?? '' });
    const received = parseWelcome(welcome);
    const transcript = transcriptHash(sent, received);
    const identities = handshakeIdentities(transcript, hello.deviceId, welcome.trustDomain);
    const { sharedKey } = prover.finish(welcome.shareV, welcome.confirmV, identities)!;
    return [
      { name: 'x of the session', bytes: x },
      { name: 'K_shared of the session', bytes: sharedKey },
    ];
  }
  throw new Error('none of the draws was x');
}

/** Every sealed record as it is when opened, and the private keys and verifiers in it by themselves. */
export async function secretsInStore({ committed }: Store): Promise<Secret[]> {
  const secrets: Secret[] = [];
  for (const name of await committed.secrets.list('')) {
    const record = (await committed.secrets.read(name))!;
    if (name !== 'check') secrets.push({ name: `record ${name}`, bytes: record });
    secrets.push(...keysIn(`record ${name}`, JSON.parse(record.toString('utf8'))));
  }
  return secrets;
}

export async function keysOfStore({ committed }: Store, dataDir: string): Promise<Secret[]> {
  const master = await masterKey(dataDir);
  const row = await committed.tables.findOneByOrFail(StoreRow, { id: 1 });
  const { dataKeys } = await openStoreKeys(row, { kind: 'key', secret: master });
  return dataKeys.map(({ key }) => ({ name: 'data key of the service', bytes: key }));
}

export async function keysOfDeviceStore(directory: string): Promise<Secret[]> {
  const header = JSON.parse(await readFile(join(directory, 'store.json'), 'utf8')) as {
    store_id: string;
    data_key: string;
  };
  const storeId = Buffer.from(header.store_id, 'hex');
  const { key } = unwrapDataKey(await masterKey(directory), storeId, Buffer.from(header.data_key, 'hex'));
  return [{ name: 'data key of a device', bytes: key }];
}

/** The 32 bytes of `store.key`. */
export async function masterKey(directory: string): Promise<Buffer> {
  return Buffer.from((await readFile(join(directory, 'store.key'), 'utf8')).trim(), 'hex');
}

/** Fields by their name, at any depth: `privateKey` (PKCS#8 or PEM) and the numbers of a verifier. */
function keysIn(name: string, value: unknown): Secret[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([field, content]: [string, unknown]) => {
    if (typeof content !== 'string') return keysIn(`${name}.${field}`, content);
    if (field === 'privateKey') return [privateKey(`${name}.${field}`, readKey(content))];
    const isOfVerifier = ['w0', 'L', 'w0M', 'w0N'].includes(field);
    return isOfVerifier ? [{ name: `${name}.${field}`, bytes: Buffer.from(content, 'base64') }] : [];
  });
}

function readKey(text: string): KeyObject {
  if (text.startsWith('-----')) return createPrivateKey(text);
  return createPrivateKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'pkcs8' });
}

/** `d` of the JWK: the 32 bytes that every form of the key holds. */
function privateKey(name: string, key: KeyObject): Secret {
  return { name, bytes: Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url') };
}

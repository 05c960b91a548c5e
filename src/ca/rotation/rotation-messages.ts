import { malformed } from '../../errors/domain-error.js';
import { type CaRoot, RootState as ProtoRootState } from '../../generated/palyra/controlplane/v1/ca.js';
import { spkiHash } from '../public-key.js';
import type { RootState } from '../root-record.js';
import type { ShownRoot } from './ca-rotation.js';

const STATE: Readonly<Record<RootState, ProtoRootState>> = {
  prepared: ProtoRootState.ROOT_STATE_PREPARED,
  signing: ProtoRootState.ROOT_STATE_SIGNING,
  retiring: ProtoRootState.ROOT_STATE_RETIRING,
  retired: ProtoRootState.ROOT_STATE_RETIRED,
};

export function rootToProto({ root, neededUntil, shownUntil }: ShownRoot): CaRoot {
  const { certificate, keyId } = root.issuer;
  return {
    keyId,
    state: STATE[root.state],
    certificate: certificate.der,
    keyHash: Buffer.from(spkiHash(certificate.spki), 'hex'),
    crossCertificates: root.crossCertificates.map(({ der }) => der),
    createTime: new Date(root.createdAt),
    activateTime: optionalTime(root.activatedAt),
    supersedeTime: optionalTime(root.supersededAt),
    retireTime: optionalTime(root.retiredAt),
    expireTime: new Date(certificate.notAfter),
    neededUntilTime: optionalTime(neededUntil),
    shownUntilTime: optionalTime(shownUntil),
  };
}

/** 40 lower-case hex digits, or empty. Throws `malformed` KEY_ID. */
export function parseKeyId(keyId: string): string {
  if (keyId === '' || /^[0-9a-f]{40}$/.test(keyId)) return keyId;
  throw malformed('KEY_ID', 'a key id is 40 lower-case hex digits; `palyra ca show` shows them');
}

function optionalTime(unixMs: number | null | undefined): Date | undefined {
  return unixMs === null || unixMs === undefined ? undefined : new Date(unixMs);
}

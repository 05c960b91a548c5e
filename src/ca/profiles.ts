import { isIP } from 'node:net';
import { isDeviceId } from '../identity/device-id.js';
import { malformed } from '../errors/domain-error.js';
import {
  canonicalIpAddress,
  type KeyUsage,
  type Purpose,
  type SubjectAltName,
} from './certificate-extensions.js';
import type { DistinguishedName } from './names.js';
import type { StatusUrls } from './status-urls.js';
import { controlPlaneDnsName, controlPlaneUri, deviceUri, isDnsName } from './spiffe-id.js';

/** What a kind of certificate says, apart from key, serial number, issuer and dates (DESIGN §3, "Profiles"). */
export interface CertificateProfile {
  readonly kind: ProfileKind;
  readonly subject: DistinguishedName;
  readonly subjectAltNames: readonly SubjectAltName[];
  readonly keyUsage: readonly KeyUsage[];
  readonly purposes: readonly Purpose[];
  /** `null`: not a CA. */
  readonly ca: { readonly pathLength: number } | null;
  /** What the certificate index lists it under, for example `device/01K9…`. */
  readonly subjectId: string;
  /** Where the status of the certificate is told; absent without a public HTTP address, and in roots. */
  readonly status?: StatusUrls;
}

export type ProfileKind = 'root' | 'cross' | 'device' | 'control-plane';

const ORGANIZATION = { type: 'O', value: 'Palyra' } as const;
/** RFC 5280, appendix A: ub-common-name. */
const MAX_COMMON_NAME = 64;

/**
 * A root. Its name holds the start of its key id, so that two roots of a rotation never share a name, and the trust
 * domain as far as 64 characters reach. Path length 1: below an old root stands the cross-certificate of a new one.
 */
export function rootProfile(trustDomain: string, keyId: string): CertificateProfile {
  const commonName = `Palyra CA ${keyId.slice(0, 8)} ${trustDomain}`.slice(0, MAX_COMMON_NAME);
  return {
    kind: 'root',
    subject: [ORGANIZATION, { type: 'CN', value: commonName }],
    subjectAltNames: [],
    keyUsage: ['keyCertSign', 'cRLSign'],
    purposes: [],
    ca: { pathLength: 1 },
    subjectId: `ca/${keyId}`,
  };
}

/**
 * The certificate of a new root's key under an old root (DESIGN §3, "Rotation"): name and key of the new root, so that
 * whoever knows only the old one finds the way. Path length 0: leaves alone stand below it.
 */
export function crossProfile(trustDomain: string, keyId: string): CertificateProfile {
  return { ...rootProfile(trustDomain, keyId), kind: 'cross', ca: { pathLength: 0 } };
}

/** A device: one URI, clientAuth only. Throws `malformed` DEVICE_ID when the id is not a canonical ULID. */
export function deviceProfile(trustDomain: string, deviceId: string): CertificateProfile {
  if (!isDeviceId(deviceId)) throw malformed('DEVICE_ID', 'the device id must be a ULID in upper case');
  return {
    kind: 'device',
    subject: [ORGANIZATION, { type: 'CN', value: `Palyra Device ${deviceId}` }],
    subjectAltNames: [{ type: 'uri', value: deviceUri(trustDomain, deviceId) }],
    keyUsage: ['digitalSignature'],
    purposes: ['clientAuth'],
    ca: null,
    subjectId: `device/${deviceId}`,
  };
}

/** Names that every control-plane certificate has besides the URI and `control-plane.<trust domain>`. */
const ALWAYS = ['localhost', '127.0.0.1', '::1'];

/**
 * The TLS doors of the control plane: serverAuth only. `serverNames` are DNS names and IP addresses by which clients
 * reach it; each is in the certificate once, DNS names without regard to case. Throws `malformed` SERVER_NAME.
 */
export function controlPlaneProfile(trustDomain: string, serverNames: readonly string[]): CertificateProfile {
  const names = new Map<string, SubjectAltName>();
  for (const name of [controlPlaneDnsName(trustDomain), ...ALWAYS, ...serverNames]) {
    const subjectAltName = serverName(name);
    names.set(`${subjectAltName.type} ${subjectAltName.value}`, subjectAltName);
  }
  return {
    kind: 'control-plane',
    subject: [ORGANIZATION, { type: 'CN', value: 'Palyra Control Plane' }],
    subjectAltNames: [{ type: 'uri', value: controlPlaneUri(trustDomain) }, ...names.values()],
    keyUsage: ['digitalSignature'],
    purposes: ['serverAuth'],
    ca: null,
    subjectId: 'control-plane',
  };
}

function serverName(name: string): SubjectAltName {
  const version = isIP(name);
  if (version === 4) return { type: 'ip', value: name };
  // A zone is a matter of one host and has no place in a certificate.
  if (version === 6 && !name.includes('%')) return { type: 'ip', value: canonicalIpAddress(name) };
  const lowerCase = name.toLowerCase();
  if (version === 0 && isDnsName(lowerCase) && !/^[0-9.]+$/.test(lowerCase))
    return { type: 'dns', value: lowerCase };
  throw malformed(
    'SERVER_NAME',
    `"${name}" is neither a DNS name nor an IP address; correct the server names`,
  );
}

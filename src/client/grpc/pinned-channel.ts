import { timingSafeEqual, type X509Certificate } from 'node:crypto';
import { falseServer } from './connection-error.js';
import { controlPlaneTrustDomain } from './control-plane-name.js';
import type { Endpoint } from './endpoint.js';
import { verifiedTarget, type GrpcTarget } from './secure-target.js';
import { fetchServerChain, spkiSha256, type ConnectOptions, type ServerTrust } from './server-chain.js';

/**
 * The channel of whoever holds only the hash of a root's key: an operator by its token, a device by its link. A plain TLS
 * connection fetches the chain; the root with that hash in it becomes the one trusted root of the channel, whose server
 * must then verify against it under the control plane's name. Nothing is sent before both hold.
 *
 * Throws `refused` when no certificate of the chain has the key, or the leaf is not the control plane's.
 */
export async function openPinnedChannel(
  endpoint: Endpoint,
  pin: Buffer,
  options: ConnectOptions,
): Promise<GrpcTarget & { readonly trust: ServerTrust }> {
  const chain = await fetchServerChain(endpoint, options);
  const trust = pinnedTrust(endpoint, chain, pin);
  return { ...verifiedTarget(endpoint, trust), trust };
}

/** The trust that a pin gives, provided that the channel's own handshake verifies the leaf against it. */
function pinnedTrust(endpoint: Endpoint, chain: readonly X509Certificate[], pin: Buffer): ServerTrust {
  const root = chain.find((certificate) => hasKey(certificate, pin) && isSelfSigned(certificate));
  if (root === undefined) {
    throw falseServer(endpoint, 'no root in its chain has the key that the token or link names');
  }
  const leaf = chain[0];
  if (leaf === undefined || !leadsTo(leaf, chain, root)) {
    throw falseServer(endpoint, 'its certificate does not come from the root that the token or link names');
  }
  const trustDomain = controlPlaneTrustDomain(leaf);
  if (trustDomain === undefined) throw falseServer(endpoint, 'its certificate is not one of a control plane');
  return { roots: [root.raw], trustDomain };
}

/** By signatures alone: what the leaf says may be shown then. All else the channel's own handshake checks. */
function leadsTo(leaf: X509Certificate, chain: readonly X509Certificate[], root: X509Certificate): boolean {
  const reached = new Set([leaf]);
  // What is added while the set is walked is walked too.
  for (const certificate of reached) {
    for (const issuer of chain) {
      if (certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)) reached.add(issuer);
    }
  }
  return reached.has(root);
}

function hasKey(certificate: X509Certificate, pin: Buffer): boolean {
  const hash = spkiSha256(certificate);
  return hash.length === pin.length && timingSafeEqual(hash, pin);
}

/** Anybody can make a certificate over a known key; what the root says of itself counts only under its own signature. */
function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}

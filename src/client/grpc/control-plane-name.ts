import { X509Certificate } from 'node:crypto';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { controlPlaneDnsName, controlPlaneUri, isDnsName } from '../../ca/spiffe-id.js';

const URI_PREFIX = 'URI:';

/**
 * The trust domain in `spiffe://<trust domain>/control-plane`, when that is the certificate's only URI name; `undefined`
 * for every other certificate. Believe it only once the certificate's chain has been verified.
 */
export function controlPlaneTrustDomain(certificate: X509Certificate): string | undefined {
  const names = certificate.subjectAltName;
  // Node quotes names with unusual characters; the control plane's have none.
  if (names === undefined || names.includes('"')) return undefined;
  const uris = names.split(', ').filter((name) => name.startsWith(URI_PREFIX));
  const uri = uris[0]?.slice(URI_PREFIX.length);
  if (uri === undefined || uris.length !== 1) return undefined;
  const trustDomain = uri.split('/')[2] ?? '';
  return isDnsName(trustDomain) && uri === controlPlaneUri(trustDomain) ? trustDomain : undefined;
}

/**
 * `checkServerIdentity` for `tls.connect` and grpc-js: the leaf must carry both names of the control plane of
 * `trustDomain`. Runs after the chain was verified. Returns an error, as Node wants it, instead of throwing.
 */
export function checkControlPlane(
  trustDomain: string,
): (host: string, certificate: PeerCertificate) => Error | undefined {
  return (_host, certificate) => {
    const wrongName = checkServerIdentity(controlPlaneDnsName(trustDomain), certificate);
    if (wrongName !== undefined) return wrongName;
    const leaf = new X509Certificate(certificate.raw);
    if (controlPlaneTrustDomain(leaf) === trustDomain) return undefined;
    return new Error(`the certificate is not one of the control plane of ${trustDomain}`);
  };
}

/** Where those who hold a certificate learn about its issuer and its revocation (RFC 5280 §4.2.1.13, §4.2.2.1). */
export interface StatusUrls {
  /** The issuer's revocation list. */
  readonly crl: string;
  /** The issuer's own certificate. */
  readonly issuer: string;
}

/** `publicHttpUrl` without a slash at its end. */
export const statusUrls = (publicHttpUrl: string, issuerKeyId: string): StatusUrls => ({
  crl: `${publicHttpUrl}/crl/${issuerKeyId}`,
  issuer: `${publicHttpUrl}/ca/${issuerKeyId}`,
});

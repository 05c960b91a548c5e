import { inFile } from '../mutation.mjs';

const CRL = 'DESIGN §3, Status for others; RFC 5280 §5';
const OUTPUT = 'STYLE 11: check own output';
const GATE = 'DESIGN §3, Clock';

const lists = 'test/ca/crl.spec.ts';
const services = 'test/pairing/pairing-services.spec.ts';

/** Revocation lists. */
export const crl = [
  ...inFile(
    'src/ca/crl/issuer-crl.ts',
    { rule: 'DESIGN §9.6', test: 'test/ca/crl.spec.ts', only: 'cannot be made' },
    [
      [
        'strangers make the service work for a list that cannot be made',
        'if (this.#failure !== undefined && clock.monotonic() < this.#failure.until) throw this.#failure.error;',
        '',
      ],
    ],
  ),
  ...inFile('src/ca/crl/crl-signing.ts', { rule: OUTPUT, test: lists }, [
    [
      'a list with other times is let out',
      'if (crl.thisUpdate !== frame.thisUpdate || crl.nextUpdate !== frame.nextUpdate)',
      'if (false)',
    ],
    ['a list with another number is let out', 'if (crl.number !== frame.number)', 'if (false)'],
    [
      'a list with a wrong signature is let out',
      "if (!(await verifyOnPool('sha256', crl.tbs, issuer.publicKey, crl.signature)))",
      'if (false)',
    ],
  ]),
  ...inFile('src/ca/crl/issuer-crl.ts', { rule: CRL, test: lists }, [
    [
      'a revocation waits for the next list',
      'held === undefined || held.through < last',
      'held === undefined',
    ],
    [
      'a list that was begun before a revocation is served after it',
      '    while (held.through < last);',
      '    while (false);',
    ],
    [
      'a list is served until it ends',
      'return this.#isDue(held) ? this.#refreshed(held) : held;',
      'return held;',
    ],
    ['a list is signed whatever stands against it', '    requireSigning();\n', '', { rule: GATE }],
    [
      'entries go as soon as their certificate ends',
      'const expiringFrom = now - this.parts.lifetimeMs / LISTS_PER_LIFE;',
      'const expiringFrom = now;',
    ],
  ]),
  ...inFile('src/ca/crl/revocations.ts', { rule: CRL, test: lists }, [
    ['numbers begin anew', 'Math.max((row?.number ?? 0) + 1, now)', 'now'],
    ['numbers fall with an old store', 'Math.max((row?.number ?? 0) + 1, now)', '(row?.number ?? 0) + 1'],
    [
      'one list for all CA keys',
      "    .where('revocation.issuerKeyId = :issuerKeyId', { issuerKeyId })\n    .andWhere('revocation.number > ",
      "    .where('revocation.number > ",
    ],
  ]),
  ...inFile('src/ca/certificate-index.ts', { rule: CRL, test: services }, [
    [
      'the certificate that replaces a revoked one is listed',
      "    .andWhere('certificate.fingerprint <> :except', { except })\n",
      '',
      { only: 'with another key' },
    ],
  ]),
];

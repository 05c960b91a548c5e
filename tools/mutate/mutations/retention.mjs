import { inFile } from '../mutation.mjs';

const RETENTION = 'DESIGN §8; docs/operations.md, Retention';

const retention = 'test/retention/retention.spec.ts';

/** What must not go with age. */
export const retentionOf = [
  ...inFile('src/retention/certificate-pruner.ts', { rule: RETENTION, test: retention }, [
    ["the key of a sleeping device is anybody's", ' && !(await isListed(view.secrets, row))', ''],
    ['the certificate of a decided request goes', '!named.has(row.fingerprint) && ', ''],
    ['certificates go before their time', 'before: now - this.keptForMs', 'before: now'],
    ['certificates go while something holds that up', '      if (!mayGoOn()) return count;\n', ''],
  ]),
  ...inFile('src/retention/audit-segment.ts', { rule: RETENTION, test: retention }, [
    [
      'audit entries go although their file does not verify',
      'if (finding !== undefined || head.sequence !== last)',
      'if (false)',
    ],
    [
      'an audit segment is overwritten with another history',
      'if (before !== undefined && before !== text) {',
      'if (false) {',
    ],
  ]),
  ...inFile('src/retention/audit-pruner.ts', { rule: RETENTION, test: retention }, [
    ['the last audit entry goes', ' || sequence >= newest', ''],
    ['young audit entries go', 'timeMs > before || ', ''],
  ]),
  ...inFile('src/retention/retention.ts', { rule: RETENTION, test: retention }, [
    [
      'pruning goes on while something holds it up',
      "this.parts.holds.require('pruning', 'wrong_state');",
      '',
    ],
  ]),
];

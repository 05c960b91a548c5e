import { inFile } from '../mutation.mjs';

const CLOCK = 'DESIGN §3, Clock';

const rule = 'src/time/clock-rule.spec.ts';
const service = 'test/service/clock.spec.ts';
const watch = 'test/service/clock-watch.spec.ts';
const held = 'test/pairing/held.spec.ts';
const servers = 'test/ca/server-certificates.spec.ts';

/** A clock that is not believed, and what it stops. */
export const clock = [
  ...inFile('src/time/clock-rule.ts', { rule: CLOCK, test: rule }, [
    ['a clock that jumped back is believed', 'Math.abs(jumpMs) > MAX_JUMP_MS', 'jumpMs > MAX_JUMP_MS'],
    ['a clock that jumped ahead is believed', 'Math.abs(jumpMs) > MAX_JUMP_MS', '-jumpMs > MAX_JUMP_MS'],
    ['a clock behind what was audited is believed', 'if (behindMs > MAX_BEHIND_MS)', 'if (false)'],
    [
      'a jump in small steps is not seen',
      'return believed.monotonicMs - reference.monotonicMs >= REFERENCE_LIFE_MS ? believed : reference;',
      'return believed;',
    ],
  ]),
  ...inFile('src/time/clock-watch.ts', { rule: CLOCK, test: service }, [
    [
      'the CA is rotated by a clock that is not believed',
      "'server_certificates', 'rotation', 'pruning'",
      "'server_certificates', 'pruning'",
    ],
    [
      'what a wrong clock audits counts',
      '    if (doubt !== undefined) return;\n    this.highestMs',
      '    this.highestMs',
    ],
    [
      'the highest time is forgotten at a restart',
      'new ClockWatch(parts, recorded ?? parts.highestTimeMs(), recorded ?? 0)',
      'new ClockWatch(parts, 0, 0)',
    ],
    ['two clocks that differ are confirmed', 'if (adminsTimeMs !== undefined &&', 'if (false &&'],
  ]),
  ...inFile('src/time/clock-watch.ts', { rule: CLOCK, test: watch }, [
    ['a confirmed clock is not kept', '      await writeHighestTime(unit.secrets, now.wallMs);\n', ''],
  ]),
  ...inFile('src/ca/certificate-authority.ts', { rule: CLOCK, test: held }, [
    ['nobody asks whether anything may be issued', "    this.#settings.requireIssuance?.('issuance');\n", ''],
  ]),
  ...inFile('src/ca/server-certificates.ts', { rule: CLOCK, test: servers }, [
    ['the doors are renewed by a wrong clock', ' || this.#isHeldUp()) continue;', ') continue;'],
  ]),
  ...inFile('src/pairing/housekeeping.ts', { rule: CLOCK, test: held }, [
    [
      'a wrong clock lets requests and codes expire',
      "return this.parts.holds?.stopping('pruning') === undefined;",
      'return true;',
    ],
    ['a device lets its request expire by a wrong clock', "    this.parts.holds?.require('pruning');\n", ''],
  ]),
  ...inFile('src/pairing/collection.ts', { rule: CLOCK, test: held }, [
    ['a device forgets its pairing by a wrong clock', "    this.parts.holds?.require('pruning');\n", ''],
  ]),
];

import { malformed } from '../errors/domain-error.js';
import type { ClientKind } from '../identity/device-identity.js';

/** What a code may be used for; sealed with its verifier. */
export interface CodePolicy {
  /** Devices that may pair with it, 1 to {@link MOST_USES}. */
  readonly uses: number;
  /** Whether a use is approved at once, as the decision of whoever minted the code. */
  readonly preApproved: boolean;
  /** Kinds that may use it; all when empty. */
  readonly clientKinds: readonly ClientKind[];
  /** Pattern that the device id must match, with `*` for any run of characters and `?` for one; all when empty. */
  readonly deviceIdPattern: string;
}

export const ORDINARY_POLICY: CodePolicy = {
  uses: 1,
  preApproved: false,
  clientKinds: [],
  deviceIdPattern: '',
};

export const MOST_USES = 10_000;
const LONGEST_PATTERN = 64;
/** Characters of a device id, and the two that stand for others. */
const PATTERN = /^[0-9A-HJKMNP-TV-Z*?]*$/;

/**
 * The policy in full. Throws `malformed`: USES_OUT_OF_RANGE, DEVICE_ID_PATTERN, and LINK_CODE_NEEDED, since six digits
 * must neither let several devices in nor any without a person.
 */
export function checkedPolicy(kind: 'pin' | 'link', asked: Partial<CodePolicy> = {}): CodePolicy {
  const policy = { ...ORDINARY_POLICY, ...asked };
  if (!Number.isInteger(policy.uses) || policy.uses < 1 || policy.uses > MOST_USES) {
    throw malformed('USES_OUT_OF_RANGE', `a code is for 1 to ${MOST_USES} devices`);
  }
  if (kind === 'pin' && (policy.preApproved || policy.uses > 1)) {
    throw malformed(
      'LINK_CODE_NEEDED',
      'a PIN code pairs one device and a person approves it; mint a link code',
    );
  }
  if (policy.deviceIdPattern.length > LONGEST_PATTERN || !PATTERN.test(policy.deviceIdPattern)) {
    throw malformed(
      'DEVICE_ID_PATTERN',
      `a device id pattern has at most ${LONGEST_PATTERN} upper-case characters of a device id, * and ?`,
    );
  }
  return { ...policy, clientKinds: [...new Set(policy.clientKinds)] };
}

/** Whether the code is for this device. */
export function isFor(
  policy: CodePolicy,
  device: { readonly deviceId: string; readonly clientKind: ClientKind },
): boolean {
  const { clientKinds, deviceIdPattern } = policy;
  if (clientKinds.length > 0 && !clientKinds.includes(device.clientKind)) return false;
  return deviceIdPattern === '' || matches(device.deviceId, deviceIdPattern);
}

/** Greedy, going back to the last `*` alone: at most text × pattern steps, whatever the pattern is. */
function matches(text: string, pattern: string): boolean {
  let at = 0;
  let of = 0;
  let star = -1;
  let starAt = 0;
  while (at < text.length) {
    if (pattern[of] === '*') {
      star = of++;
      starAt = at;
    } else if (pattern[of] === '?' || pattern[of] === text[at]) {
      of += 1;
      at += 1;
    } else if (star >= 0) {
      of = star + 1;
      at = ++starAt;
    } else {
      return false;
    }
  }
  while (pattern[of] === '*') of += 1;
  return of === pattern.length;
}

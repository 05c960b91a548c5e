import { describe, expect, it } from '@jest/globals';
import { formatHostPort, sourceOf } from './network-address.js';

describe('sourceOf', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::', '2001:db8:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['1:2:3::', '1:2:3:0::/64'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
  ])('%s counts as %s', (host, source) => {
    expect(sourceOf(host)).toBe(source);
  });
});

describe('formatHostPort', () => {
  it('puts brackets round IPv6', () => {
    expect(formatHostPort({ host: '::1', port: 7444 })).toBe('[::1]:7444');
    expect(formatHostPort({ host: '127.0.0.1', port: 7444 })).toBe('127.0.0.1:7444');
  });
});

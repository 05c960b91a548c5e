import { describe, expect, it } from '@jest/globals';
import { endurance, mountPoints } from './key-file-change.js';

describe('mountPoints', () => {
  it('reads those of Linux, with blanks and backslashes in their names', () => {
    const mountinfo = [
      '22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw',
      '517 22 0:46 / /run/secrets/store-key ro,relatime - tmpfs tmpfs ro,size=65536k',
      '518 22 254:1 /k /srv/a\\040key\\134file rw - ext4 /dev/vda1 rw',
      '',
    ].join('\n');
    expect(mountPoints(mountinfo)).toEqual(['/', '/run/secrets/store-key', '/srv/a key\\file', '']);
  });
});

describe('how long a file system keeps a key', () => {
  it.each([
    ['tmpfs', 0x01021994, 0],
    ['ramfs, whose type may come as a negative number', 0x858458f6 | 0, 0],
    ['overlayfs, the layer of a container', 0x794c7630, 1],
    ['aufs', 0x61756673, 1],
    ['ext4', 0xef53, 2],
    ['xfs', 0x58465342, 2],
    ['btrfs', 0x9123683e | 0, 2],
  ])('%s', (_name, type, expected) => {
    expect(endurance(type)).toBe(expected);
  });
});

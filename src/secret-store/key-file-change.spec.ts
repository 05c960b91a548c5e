import { describe, expect, it } from '@jest/globals';
import { mountPoints } from './key-file-change.js';

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

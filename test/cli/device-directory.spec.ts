import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pairDevice } from '../../src/client/device/pairing.js';
import { systemClock } from '../../src/time/clock.js';
import { TestCa } from '../ca/test-ca.js';
import { PairingServer } from './pairing-server.js';

const NOBODY = 65_534;

describe('pairing spends no try of the code', () => {
  let parent: string;
  let directory: string;
  let server: PairingServer;
  let asked: number;

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'palyra-device-'));
    directory = join(parent, 'device');
    server = await PairingServer.start(new Map(), await TestCa.create());
    asked = 0;
  });

  afterEach(async () => {
    server.stop();
    await rm(parent, { recursive: true });
  });

  async function failureOfPairing(at: string): Promise<unknown> {
    const options = {
      directory: at,
      askProof: () => {
        asked += 1;
        return Promise.resolve('K7QM-482913');
      },
      endpoint: server.endpoint,
      defaultEndpoint: server.endpoint,
      clientKind: 'node' as const,
      platform: 'linux-x64',
      newIdentity: false,
      signal: new AbortController().signal,
      clock: systemClock,
      random: randomBytes,
    };
    return pairDevice(options, () => undefined).catch((error: unknown) => error);
  }

  /** Asks for no code, says nothing to the server, and changes nothing on the disk. */
  async function expectRefused(at: string, reason: string): Promise<void> {
    const before = await readdir(parent, { recursive: true });
    const error = await failureOfPairing(at);
    expect(error).toMatchObject({ failure: 'usage', reason, message: expect.stringContaining(at) });
    expect({ asked, hellos: server.hellos }).toEqual({ asked: 0, hellos: [] });
    expect(await readdir(parent, { recursive: true })).toEqual(before);
  }

  it('when a file is in the place of the device directory, or of one above it', async () => {
    await writeFile(directory, 'in the way');
    await expectRefused(directory, 'DEVICE_DIRECTORY');
    await expectRefused(join(directory, 'palyra', 'device'), 'DEVICE_DIRECTORY');
  });

  it('when the device directory is a link to nothing', async () => {
    await symlink(join(parent, 'none'), directory);
    await expectRefused(directory, 'DEVICE_DIRECTORY');
  });

  it('when others may enter the device directory', async () => {
    await mkdir(directory);
    await chmod(directory, 0o755);
    await expectRefused(directory, 'STORE_FILE_EXPOSED');
  });

  it.each(['store.key', 'palyra.lock'])('when others may read a %s that is there', async (name) => {
    await mkdir(directory, { mode: 0o700 });
    await writeFile(join(directory, name), '');
    await chmod(join(directory, name), 0o644);
    await expectRefused(directory, 'STORE_FILE_EXPOSED');
  });

  const itOnLinux = process.platform === 'linux' ? it : it.skip;
  itOnLinux('when the device directory cannot be made', async () => {
    await expectRefused('/proc/palyra/device', 'DEVICE_DIRECTORY');
  });

  /** Root may write wherever it likes, so it works as somebody else meanwhile. */
  async function asOrdinaryUser(work: () => Promise<void>): Promise<void> {
    if (process.getuid?.() !== 0) {
      await work();
      return;
    }
    for (const path of [parent, directory]) await chown(path, NOBODY, NOBODY);
    process.seteuid?.(NOBODY);
    try {
      await work();
    } finally {
      process.seteuid?.(0);
    }
  }

  it('when the device directory may not be written', async () => {
    await mkdir(directory, { mode: 0o500 });
    await asOrdinaryUser(() => expectRefused(directory, 'DEVICE_DIRECTORY'));
  });
});

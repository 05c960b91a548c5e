import { type FileHandle, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ClientError } from '../../client/client-error.js';
import { syncDirectory } from '../../secret-store/atomic-file.js';
import { qrPng, qrSvg } from './qr-picture.js';

const PICTURES: Readonly<Record<string, (text: string) => string | Buffer>> = { svg: qrSvg, png: qrPng };

/**
 * A picture of a link, which is as secret as the link itself: mode 0600, and never in the place of another file. Its name
 * is taken before the link is minted, so that no link is lost for want of a file.
 */
export class QrFile {
  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly draw: (text: string) => string | Buffer,
  ) {}

  /** Throws a usage error for another ending than `.svg` and `.png`, and for a file that is there or cannot be made. */
  static async reserve(path: string): Promise<QrFile> {
    const draw = PICTURES[/\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? ''];
    if (draw === undefined) {
      throw new ClientError(
        'usage',
        'QR_FILE',
        `--qr-file ${JSON.stringify(path)} is neither .svg nor .png`,
        {
          advice: 'give the file one of these endings',
        },
      );
    }
    try {
      return new QrFile(path, await open(path, 'wx', 0o600), draw);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      const text = code === 'EEXIST' ? 'is there already' : `cannot be written (${code})`;
      throw new ClientError('usage', 'QR_FILE', `--qr-file ${JSON.stringify(path)} ${text}`, {
        advice: 'name a new file',
        cause: error,
      });
    }
  }

  /** Draws the link, durably. */
  async write(link: string): Promise<void> {
    await this.handle.writeFile(this.draw(link));
    await this.handle.sync();
    await this.handle.close();
    await syncDirectory(dirname(this.path));
  }

  /** Leaves nothing behind. */
  async discard(): Promise<void> {
    await this.handle.close().catch(() => undefined);
    await unlink(this.path).catch(() => undefined);
  }
}

import type { CommittedReader } from '../../database/unit-of-work.js';
import type { RegisteredDevice } from '../../identity/identity-manager.js';
import { DeviceRow } from '../../identity/device.entity.js';
import type { NodeConnections } from '../../quic/node-connections.js';
import type { CertificateAuthority } from '../certificate-authority.js';
import { CertificateRow } from '../certificate.entity.js';

export interface DevicesToPairParts {
  readonly committed: CommittedReader;
  readonly authority: CertificateAuthority;
  readonly connections: Pick<NodeConnections, 'openConnections'>;
}

export interface DevicesToPairPage {
  readonly devices: readonly RegisteredDevice[];
  /** Id of the last device of this page when there are more. */
  readonly next: string | undefined;
}

/**
 * Which devices must pair again since the root that they know is gone: those whose newest certificate is of a root that
 * this CA knows no more. They cannot verify the server, so that nothing but a new code helps them.
 */
export class DevicesToPair {
  constructor(private readonly parts: DevicesToPairParts) {}

  /** By device id, after `after` (exclusive); revoked ones are left out. */
  async list(options: { after?: string; limit: number }): Promise<DevicesToPairPage> {
    const { committed, authority, connections } = this.parts;
    const known = authority.roots.all.map(({ issuer }) => issuer.keyId);
    const query = committed.tables
      .createQueryBuilder(DeviceRow, 'device')
      .innerJoin(CertificateRow, 'certificate', 'certificate.fingerprint = device.certificateFingerprint')
      .where('certificate.issuerKeyId NOT IN (:...known)', { known })
      .andWhere('device.state <> :revoked', { revoked: 'revoked' })
      .orderBy('device.deviceId', 'ASC')
      .limit(options.limit + 1);
    if (options.after !== undefined) query.andWhere('device.deviceId > :after', { after: options.after });
    const rows = await query.getMany();
    const page = rows.slice(0, options.limit);
    return {
      devices: page.map((row) => ({ row, openConnections: connections.openConnections(row.deviceId) })),
      next: rows.length > options.limit ? page.at(-1)?.deviceId : undefined,
    };
  }
}

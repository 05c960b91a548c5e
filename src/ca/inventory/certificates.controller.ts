import { Controller } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type {
  CertificateCounts,
  ListCertificatesRequest,
  ListCertificatesResponse,
} from '../../generated/palyra/controlplane/v1/certificate.js';
import { pageToken, parsePage } from '../../grpc/paging.js';
import { CertificateInventory } from './certificate-inventory.js';
import { certificateToProto, inventoryFilterOf } from './certificate-messages.js';

/** The inventory's part of ControlPlane. */
@Controller()
export class CertificatesController {
  constructor(private readonly inventory: CertificateInventory) {}

  @GrpcMethod('ControlPlane', 'listCertificates')
  async listCertificates(request: ListCertificatesRequest): Promise<ListCertificatesResponse> {
    const page = parsePage(request);
    const filter = inventoryFilterOf(request);
    const { certificates, next } = await this.inventory.list(filter, page);
    return {
      certificates: certificates.map(certificateToProto),
      nextPageToken: pageToken(next),
      counts: request.withCounts ? countsToProto(await this.inventory.count(filter)) : undefined,
    };
  }
}

const countsToProto = (counts: Record<keyof CertificateCounts, number>): CertificateCounts => ({
  valid: BigInt(counts.valid),
  expired: BigInt(counts.expired),
  revoked: BigInt(counts.revoked),
});

import { Controller, Inject } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { CertificateAuthority } from '../ca/certificate-authority.js';
import { toBase64 } from '../encoding/base64.js';
import type { JsonObject } from '../quic/frame-codec.js';
import type { QuicContext } from '../quic/quic-context.js';
import { QUIC } from '../quic/transport-id.js';
import { type TrustBundleMessage, trustBundleMessage } from '../quic/trust-bundle-message.js';
import { STORE_TIME, type StoreTimeSource } from '../runtime.js';
import { deviceRecordName } from './identity-record.js';
import { readRenewParams } from './node-renewal-params.js';
import { Renewals } from './renewals.js';

interface RenewedMessage {
  /** Base64 of DER: leaf, then the roots it leads to. */
  readonly certificate_chain: readonly string[];
  readonly trust_bundle: TrustBundleMessage;
  /** Unix milliseconds. */
  readonly issued_at_ms: number;
  readonly expires_at_ms: number;
}

/** Certificates and roots for devices that are connected. */
@Controller()
export class NodeRenewalController {
  constructor(
    private readonly renewals: Renewals,
    private readonly authority: CertificateAuthority,
    @Inject(STORE_TIME) private readonly store: StoreTimeSource,
  ) {}

  @MessagePattern('node.renew', QUIC)
  async renew(@Payload() params: JsonObject, @Ctx() context: QuicContext): Promise<RenewedMessage> {
    const request = readRenewParams(params, context.deviceId);
    // The device has proved itself: what strangers behind the same address were refused does not count against it.
    const refusedAs = deviceRecordName(context.deviceId);
    const { chain, issuedAt, expiresAt } = await this.renewals.renew(
      request,
      context.remoteAddress,
      refusedAs,
    );
    return {
      certificate_chain: chain.map(toBase64),
      trust_bundle: this.bundle(),
      issued_at_ms: issuedAt,
      expires_at_ms: expiresAt,
    };
  }

  @MessagePattern('node.trust_bundle', QUIC)
  trustBundle(): TrustBundleMessage {
    return this.bundle();
  }

  private bundle(): TrustBundleMessage {
    return trustBundleMessage(this.authority.trustBundle(), this.store.storeTime());
  }
}

import { MAX_CSR_BYTES } from '../ca/csr.js';
import { malformed } from '../errors/domain-error.js';
import type { JsonObject } from '../quic/frame-codec.js';
import { NodeParams } from '../quic/node-params.js';
import { PARENT_BYTES, type RenewalInput, SIGNATURE_BYTES } from './renewal-request.js';

/** A ULID. */
const DEVICE_ID_BYTES = 26;

/**
 * The params of `node.renew`: the request of `NodeService.Renew` in JSON. Throws `malformed` INVALID_PARAMS, or OTHER_DEVICE
 * when it is not for the device whose connection it came on.
 */
export function readRenewParams(params: JsonObject, connectedAs: string): RenewalInput {
  const fields = new NodeParams(params);
  const deviceId = fields.takeText('device_id', DEVICE_ID_BYTES);
  const parent = fields.takeBytes('parent', PARENT_BYTES);
  const csr = fields.takeBytes('csr', MAX_CSR_BYTES);
  const signature = fields.takeBytes('signature', SIGNATURE_BYTES);
  fields.end();
  if (deviceId !== connectedAs) {
    throw malformed('OTHER_DEVICE', 'a connection renews the certificate of its own device only');
  }
  return { deviceId, parent, csr, signature };
}

import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { controlPlaneDnsName } from '../../ca/spiffe-id.js';
import { checkControlPlane } from './control-plane-name.js';
import type { Endpoint } from './endpoint.js';
import { rootPem, type ServerTrust } from './server-chain.js';

/** What a generated client is made from: `new NodeServiceClient(target.address, target.credentials, target.options)`. */
export interface GrpcTarget {
  readonly endpoint: Endpoint;
  readonly address: string;
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
  /** What the server is verified against; `undefined` on the channel that only `Pair` may use. */
  readonly trust: ServerTrust | undefined;
}

/** Messages of the control plane are pages of at most 1000 rows. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

const COMMON_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  // A channel is one server's; sharing connections between channels would share what they verified.
  'grpc.use_local_subchannel_pool': 1,
  // No look-ups of TXT records, and no proxy that only this connection would take.
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.enable_retries': 0,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

/** A channel whose server must show a chain to one of the roots and both names of the control plane. */
export function verifiedTarget(endpoint: Endpoint, trust: ServerTrust): GrpcTarget {
  const context = createSecureContext({ ca: trust.roots.map(rootPem), minVersion: 'TLSv1.3' });
  // rejectUnauthorized is said aloud, so that NODE_TLS_REJECT_UNAUTHORIZED cannot turn it off.
  const credentials = ChannelCredentials.createFromSecureContext(context, {
    rejectUnauthorized: true,
    checkServerIdentity: checkControlPlane(trust.trustDomain),
  });
  const name = { 'grpc.ssl_target_name_override': controlPlaneDnsName(trust.trustDomain) };
  return {
    endpoint,
    address: addressOf(endpoint),
    credentials,
    options: { ...COMMON_OPTIONS, ...name },
    trust,
  };
}

/** Pairing messages are small (docs/protocol.md, "Pairing"), and these come from a stranger. */
const MAX_STRANGER_MESSAGE_BYTES = 64 * 1024;

/** A channel to whoever answers. */
export function unverifiedTarget(endpoint: Endpoint): GrpcTarget {
  const context = createSecureContext({ minVersion: 'TLSv1.3' });
  const credentials = ChannelCredentials.createFromSecureContext(context, { rejectUnauthorized: false });
  const options = {
    ...COMMON_OPTIONS,
    'grpc.max_receive_message_length': MAX_STRANGER_MESSAGE_BYTES,
    // RFC 6066 §3: an address is no server name.
    ...(isIP(endpoint.host) === 0 ? {} : { 'grpc.ssl_target_name_override': 'localhost' }),
  };
  return { endpoint, address: addressOf(endpoint), credentials, options, trust: undefined };
}

/** With the scheme, so that no host name is taken for one (`unix:`). */
function addressOf(endpoint: Endpoint): string {
  return `dns:${endpoint.text}`;
}

import { z } from 'zod';
import { CONFLICT_ACTIONS } from '../identity/renewal-rule.js';
import { optionalSetting, setting } from './setting.js';
import {
  count,
  duration,
  endpoints,
  listenAddress,
  oneOf,
  path,
  publicHttpUrl,
  serverNames,
  size,
  trustDomain,
} from './values.js';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Refuses whatever is written: the setting is promised, and what it would switch on is not there yet. */
const notYet = (problem: string): z.ZodType<undefined> =>
  z.custom<undefined>((value) => value === undefined, { error: problem });

/** Where data lies and how it is sealed. */
export const storeSettings = {
  dataDir: setting(
    'data_dir',
    path,
    './palyra-data',
    'Directory of the database, the key and ca.pem; mode 0700',
  ),
  keyFile: optionalSetting('store_key_file', path, 'Master key file; unset: store.key in the data directory'),
  passphraseFile: optionalSetting(
    'store_passphrase_file',
    path,
    'File with a passphrase from which the master key is derived, instead of a key file',
  ),
  newKeyFile: optionalSetting(
    'store_new_key_file',
    path,
    'Master key file to change to with `palyra store rekey --prepared`; start tries it too',
  ),
  newPassphraseFile: optionalSetting(
    'store_new_passphrase_file',
    path,
    'Passphrase file to change to, likewise',
  ),
  databaseUrl: optionalSetting(
    'database_url',
    notYet('PostgreSQL comes later: leave it unset, and SQLite in the data directory is used'),
    'PostgreSQL database; unset: SQLite in the data directory',
    { secret: true },
  ),
};

/** What the cluster is called and how others find it. */
export const clusterSettings = {
  trustDomain: optionalSetting(
    'trust_domain',
    trustDomain,
    'Lower-case DNS name, fixed at first start; unset: a random one is made then',
  ),
  serverNames: setting(
    'server_names',
    serverNames,
    '',
    'DNS names and IP addresses in the server certificates, comma-separated',
  ),
  advertiseGrpc: setting(
    'advertise_grpc',
    endpoints,
    '',
    'gRPC endpoints that devices are told; unset: first server name and the bound port',
  ),
  advertiseQuic: setting(
    'advertise_quic',
    endpoints,
    '',
    'QUIC endpoints that devices are told; unset: first server name and the bound port',
  ),
  certValidity: setting(
    'cert_validity',
    duration('1s', '825d'),
    '24h',
    'How long a device certificate lives',
  ),
  crlValidity: setting(
    'crl_validity',
    duration('1m', '30d'),
    '24h',
    'How long a revocation list is valid; it is made anew at each revocation and four times in its life',
  ),
  serverCertValidity: setting(
    'server_cert_validity',
    duration('2s', '825d'),
    '24h',
    'How long a certificate that the service itself serves with lives',
  ),
};

export const grpcSettings = {
  listen: setting('grpc_listen', listenAddress, '127.0.0.1:7443', 'Where operators and pairing devices call'),
  maxConnections: setting('grpc_max_connections', count(1, 100_000), '1024', 'gRPC connections in all'),
  maxConnectionsPerAddress: setting(
    'grpc_max_connections_per_address',
    count(1, 100_000),
    '64',
    'gRPC connections from one address (IPv6: one /64)',
  ),
  maxStreams: setting('grpc_max_streams', count(1, 10_000), '32', 'Calls at once on one gRPC connection'),
  handshakeTimeout: setting(
    'grpc_handshake_timeout',
    duration('100ms', '10m'),
    '10s',
    'How long a TLS handshake may take',
  ),
  receiveTimeout: setting(
    'grpc_receive_timeout',
    duration('100ms', '10m'),
    '30s',
    'How long a caller may take to send the request of a call',
  ),
  idleTimeout: setting(
    'grpc_idle_timeout',
    duration('1s', '24h'),
    '10m',
    'After how long without a call a gRPC connection is closed',
  ),
  keepalive: setting(
    'grpc_keepalive',
    duration('1s', '24h'),
    '60s',
    'How often a quiet gRPC connection is probed; no answer within 20s closes it',
  ),
  maxMessage: setting(
    'grpc_max_message',
    size('64KiB', '4MiB'),
    '256KiB',
    'Largest request of an operator; requests of NodeService stay within 64KiB',
  ),
};

export const quicSettings = {
  listen: setting('quic_listen', listenAddress, '127.0.0.1:7444', 'Where paired devices connect (UDP)'),
  maxConnections: setting('quic_max_connections', count(1, 100_000), '256', 'Admitted connections in all'),
  maxConnectionsPerDevice: setting(
    'quic_max_connections_per_device',
    count(1, 1_000),
    '4',
    'Admitted connections of one device',
  ),
  maxHandshakes: setting('quic_max_handshakes', count(1, 100_000), '64', 'Handshakes in progress in all'),
  maxHandshakesPerAddress: setting(
    'quic_max_handshakes_per_address',
    count(1, 100_000),
    '8',
    'Handshakes in progress from one address; raise it behind NAT or a balancer',
  ),
  handshakeTimeout: setting(
    'quic_handshake_timeout',
    duration('50ms', '10m'),
    '10s',
    'How long a QUIC handshake may take',
  ),
  idleTimeout: setting(
    'quic_idle_timeout',
    duration('100ms', '1h'),
    '30s',
    'After how long without a packet a QUIC connection ends',
  ),
  maxStreams: setting('quic_max_streams', count(1, 10_000), '32', 'Streams at once on one QUIC connection'),
  maxUnread: setting(
    'quic_max_unread',
    size('64KiB', '64MiB'),
    '1MiB',
    'Unread bytes of one QUIC connection',
  ),
  maxUnreadPerStream: setting(
    'quic_max_unread_per_stream',
    size('16KiB', '64MiB'),
    '256KiB',
    'Unread bytes of one QUIC stream',
  ),
  maxOverhead: setting(
    'quic_max_overhead',
    size('256KiB', '1GiB'),
    '2MiB',
    'Bytes that a QUIC connection may bring besides what its streams carry, before it has to connect again',
  ),
  maxQueued: setting(
    'quic_max_queued',
    size('64KiB', '64MiB'),
    '1MiB',
    'Bytes of answers that may wait on one QUIC stream for a slow reader',
  ),
  requestTimeout: setting(
    'quic_request_timeout',
    duration('100ms', '10m'),
    '30s',
    'How long a node RPC request may take to become complete',
  ),
  retryTokenLifetime: setting(
    'quic_retry_token_lifetime',
    duration('1s', '10m'),
    '10s',
    'How long the token that validates a QUIC address may be used',
  ),
  overlap: setting(
    'quic_overlap',
    duration('0s', '1h'),
    '60s',
    'How long the previous certificate of a device stays admitted once its new one was',
  ),
  linger: setting(
    'quic_linger',
    duration('0s', '1m'),
    '1s',
    'How long a QUIC door that closes still answers late packets',
  ),
  heartbeat: setting(
    'quic_heartbeat',
    duration('1s', '1h'),
    '15s',
    'How often devices are asked to call node.heartbeat; keep it under the idle timeout',
  ),
  presenceInterval: setting(
    'presence_interval',
    duration('1s', '1h'),
    '60s',
    'How often it is written down which devices are there',
  ),
  socketBuffer: setting(
    'quic_socket_buffer',
    size('64KiB', '256MiB'),
    '4MiB',
    'Buffers of the UDP socket that are asked of the system',
  ),
};

export const httpSettings = {
  listen: setting(
    'http_listen',
    listenAddress,
    '127.0.0.1:7480',
    'Where probes and the metrics scraper call',
  ),
  maxConnections: setting('http_max_connections', count(1, 100_000), '256', 'HTTP connections in all'),
  maxConnectionsPerAddress: setting(
    'http_max_connections_per_address',
    count(1, 100_000),
    '64',
    'HTTP connections from one address (IPv6: one /64); raise it behind a proxy',
  ),
  publicUrl: optionalSetting(
    'public_http_url',
    publicHttpUrl,
    'Where others reach the HTTP door, `http://host[:port][/path]`: certificates then say where their revocation list is; unset: they do not',
  ),
  metricsTokenFile: optionalSetting(
    'metrics_token_file',
    path,
    'File with a bearer token (at least 16 characters) that /metrics asks for; unset: it asks for none',
  ),
  consoleListen: optionalSetting(
    'console_listen',
    notYet('the web console comes later: leave it unset'),
    'Where the web console listens',
  ),
};

export const pairingSettings = {
  startsPerMinutePerAddress: setting(
    'pairing_starts_per_minute_per_address',
    count(1, 1_000_000),
    '30',
    'Pairing handshakes begun a minute from one address (IPv6: one /64)',
  ),
  startsPerMinute: setting(
    'pairing_starts_per_minute',
    count(1, 1_000_000),
    '1024',
    'Pairing handshakes begun a minute in all',
  ),
  maxHandshakes: setting('pairing_max_handshakes', count(1, 100_000), '256', 'Pairing handshakes at once'),
  requestTtl: setting(
    'pairing_request_ttl',
    duration('1s', '30d'),
    '24h',
    'How long a request waits for an operator',
  ),
  separateApprover: setting(
    'pairing_separate_approver',
    oneOf('no', 'yes'),
    'no',
    'yes: whoever minted a code may not approve what comes with it, and no code can be approved beforehand',
  ),
};

export const renewalSettings = {
  returnGrace: setting(
    'return_grace',
    duration('0s', '3650d'),
    '30d',
    'How long after its certificate has expired a device may renew it; 0s: not at all',
  ),
  onConflict: setting(
    'renewal_conflict',
    oneOf(...CONFLICT_ACTIONS),
    'suspend',
    'What two copies of a device that renew do to it: suspend, or only flag',
  ),
  refusalsPerMinutePerAddress: setting(
    'renewal_refusals_per_minute_per_address',
    count(1, 1_000_000),
    '30',
    'Refused renewals a minute from one address (IPv6: one /64), over QUIC from one device; further ones are put off',
  ),
  newPerHourPerDevice: setting(
    'renewals_per_hour_per_device',
    count(1, 1_000_000),
    '60',
    'New certificates an hour for one device; further renewals are put off',
  ),
};

/** How long what has served its time is kept. */
export const retentionSettings = {
  certificates: setting(
    'retention_certificates',
    duration('1s', '3650d'),
    '90d',
    'How long a certificate stays in the index after its expiry',
  ),
  audit: setting(
    'retention_audit',
    duration('1s', '3650d'),
    '400d',
    'How long an audit entry stays in the database; then it is moved into a file',
  ),
  auditDirectory: optionalSetting(
    'audit_dir',
    path,
    'Where old audit entries go; unset: audit in the data directory',
  ),
  interval: setting('prune_interval', duration('1s', '30d'), '1h', 'How often what is too old is removed'),
};

/** How the process speaks and ends. */
export const processSettings = {
  logLevel: setting(
    'log_level',
    oneOf(...LOG_LEVELS),
    'info',
    'Least important log entries that are written',
  ),
  logFormat: setting(
    'log_format',
    oneOf('auto', 'json', 'text'),
    'auto',
    'Log entries as JSON lines or as text; auto: text on a terminal',
  ),
  shutdownGrace: setting(
    'shutdown_grace',
    duration('0s', '10m'),
    '8s',
    'How long open calls may go on after SIGTERM',
  ),
};

/** Every setting there is, by feature. */
export const slices = {
  store: storeSettings,
  cluster: clusterSettings,
  grpc: grpcSettings,
  quic: quicSettings,
  http: httpSettings,
  pairing: pairingSettings,
  renewal: renewalSettings,
  retention: retentionSettings,
  process: processSettings,
};

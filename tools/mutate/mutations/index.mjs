import { backup } from './backup.mjs';
import { ca } from './ca.mjs';
import { crl } from './crl.mjs';
import { client } from './client.mjs';
import { clock } from './clock.mjs';
import { deviceEvents } from './device-events.mjs';
import { grpcAndHttp } from './doors.mjs';
import { pairing } from './pairing.mjs';
import { quic } from './quic.mjs';
import { registry } from './registry.mjs';
import { renewal } from './renewal.mjs';
import { retentionOf } from './retention.mjs';
import { service } from './service.mjs';
import { store } from './store.mjs';

/** Every security check of the service, by the part it belongs to. */
export const mutations = [
  ...store,
  ...backup,
  ...pairing,
  ...registry,
  ...renewal,
  ...clock,
  ...retentionOf,
  ...ca,
  ...crl,
  ...quic,
  ...deviceEvents,
  ...grpcAndHttp,
  ...client,
  ...service,
];

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServiceError, credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { requireEndpoint } from '../../src/client/grpc/endpoint.js';
import { OperatorClient } from '../../src/client/operator-client.js';
import { operatorCredential } from '../../src/client/operator-credential.js';
import { parseSettings } from '../../src/config/settings.js';
import { ControlPlaneClient } from '../../src/generated/palyra/controlplane/v1/control_plane.js';
import { type RunningService, startService } from '../../src/main.js';
import { createLogger } from '../../src/observability/logger.js';
import { TestDevice, approving, mintPin } from '../e2e/paired-device.js';

/** That the parts, each tested by itself, are put together so that they hold; in this process. */
describe('the parts of the service', () => {
  const dataDir = join(mkdtempSync(join(tmpdir(), 'palyra-wiring-')), 'data');
  let service: RunningService;
  let operator: OperatorClient;
  let device: TestDevice;

  beforeAll(async () => {
    const environment = {
      PALYRA_DATA_DIR: dataDir,
      PALYRA_GRPC_LISTEN: '127.0.0.1:0',
      PALYRA_QUIC_LISTEN: '127.0.0.1:0',
      PALYRA_HTTP_LISTEN: '127.0.0.1:0',
      PALYRA_SHUTDOWN_GRACE: '200ms',
    };
    const logger = createLogger({ level: 'fatal', format: 'json', sink: { write: () => undefined } });
    service = await startService(parseSettings({ environment }).settings, { logger });
    const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim();
    operator = await OperatorClient.connect(requireEndpoint(service.grpcAddress), operatorCredential(token));
    device = await TestDevice.create();
  });
  afterAll(async () => {
    operator.close();
    await device.remove();
    await service.close();
    rmSync(join(dataDir, '..'), { recursive: true });
  });

  it('let nobody call ControlPlane without a credential', async () => {
    const roots = readFileSync(join(dataDir, 'ca.pem'));
    const client = new ControlPlaneClient(service.grpcAddress, credentials.createSsl(roots));
    const error = await new Promise<ServiceError | null>((resolve) => {
      client.getStatus({}, resolve);
    });
    client.close();
    expect(error?.code).toBe(status.UNAUTHENTICATED);
  });

  it('close what a revoked device has open, and keep it out', async () => {
    const endpoint = requireEndpoint(service.grpcAddress);
    await device.pair(endpoint, await mintPin(operator), approving(operator));
    const { client } = await device.connect();
    expect((await client.health()).ok).toBe(true);
    const { deviceId } = device.paired;
    expect((await operator.revokeDevice({ deviceId, reason: 'lost' })).closedConnections).toBe(1);
    expect((await client.closed).error.reason).toBe('REVOKED');
    expect((await device.attempt()).reason).toBe('NOT_ADMITTED');
  });
});

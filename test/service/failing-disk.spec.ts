import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { requireEndpoint } from '../../src/client/grpc/endpoint.js';
import { OperatorClient } from '../../src/client/operator-client.js';
import { operatorCredential } from '../../src/client/operator-credential.js';
import { parseSettings } from '../../src/config/settings.js';
import { startService } from '../../src/main.js';
import { createLogger } from '../../src/observability/logger.js';
import { failureOf, mintPin } from '../e2e/paired-device.js';
import { SmallDisk } from '../store/small-disk.js';

const disk = SmallDisk.mount(4 * 1024 * 1024);

(disk === undefined ? describe.skip : describe)('a service whose disk is full', () => {
  it('says so to callers, readiness and metrics, and goes on by itself once there is room', async () => {
    const dataDir = join(disk!.path, 'data');
    const anyPort = '127.0.0.1:0';
    const environment = {
      PALYRA_DATA_DIR: dataDir,
      PALYRA_GRPC_LISTEN: anyPort,
      PALYRA_QUIC_LISTEN: anyPort,
      PALYRA_HTTP_LISTEN: anyPort,
      PALYRA_SHUTDOWN_GRACE: '200ms',
    };
    const logger = createLogger({ level: 'fatal', format: 'json', sink: { write: () => undefined } });
    const service = await startService(parseSettings({ environment }).settings, { logger });
    const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim();
    const operator = await OperatorClient.connect(
      requireEndpoint(service.grpcAddress),
      operatorCredential(token),
    );
    const ready = async (): Promise<unknown> => (await fetch(`http://${service.httpAddress}/readyz`)).json();
    const metrics = async (): Promise<string> =>
      (await fetch(`http://${service.httpAddress}/metrics`)).text();
    try {
      expect(await ready()).toMatchObject({ ready: true });
      await disk!.fill();
      let refusal: unknown;
      let minted = 0;
      while ((refusal = await failureOf(mintPin(operator))) === undefined) minted += 1;
      expect(refusal).toMatchObject({ code: 'UNAVAILABLE', reason: 'STORE_FULL' });
      expect(await ready()).toMatchObject({
        ready: false,
        checks: { store: 'failed', holds: 'ok' },
        reasons: { store: 'STORE_FULL' },
      });
      expect(await metrics()).toMatch(/^palyra_ready\{check="store"\} 0$/m);
      expect((await operator.listPairingCodes()).codes).toHaveLength(minted);
      await disk!.free();
      expect(await ready()).toMatchObject({ ready: true });
      await mintPin(operator);
      expect((await operator.listPairingCodes()).codes).toHaveLength(minted + 1);
    } finally {
      operator.close();
      await service.close();
      disk!.remove();
    }
  });
});

import { type ServiceError, Metadata, status } from '@grpc/grpc-js';
import { NEVER } from 'rxjs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { remoteError } from '../../src/client/remote-error.js';
import { CollectResponse, PairRequest } from '../../src/generated/palyra/controlplane/v1/node_service.js';
import { type WritableCall, writeStream } from '../../src/grpc/write-stream.js';
import { type FakeHandler, TestDoor, ownMethods, statusOfCall, until } from './test-door.js';

const trustBundle = ownMethods.find((each) => each.path.endsWith('/GetTrustBundle'))!;

let door: TestDoor;
afterEach(() => door.close());

describe('streams', () => {
  it('produce no more than the caller reads', async () => {
    let produced = 0;
    let returned = 0;
    async function* endless(): AsyncGenerator<CollectResponse> {
      try {
        for (;;) {
          produced += 1;
          yield await Promise.resolve(CollectResponse.fromPartial({ reason: 'x'.repeat(16_384) }));
        }
      } finally {
        returned += 1;
      }
    }
    const Collect = (_request: unknown, _metadata: unknown, call: WritableCall<CollectResponse>): unknown =>
      writeStream(call, endless());
    door = await TestDoor.open({ handlers: { Collect: Collect } });
    const call = door.nodeService().collect({ token: Buffer.alloc(32) });
    call.on('error', () => undefined);
    call.once('readable', () => call.read());
    await until(() => produced > 3);
    let last = -1;
    await until(() => {
      const settled = produced === last;
      last = produced;
      return settled;
    });
    expect(produced).toBeLessThan(200);
    call.cancel();
    await until(() => returned === 1);
  });

  it('are ended when the server goes, within the grace time', async () => {
    const Collect: FakeHandler = (_request, _metadata, call: never) => writeStream(call, never());
    door = await TestDoor.open({ handlers: { Collect }, environment: { PALYRA_SHUTDOWN_GRACE: '5s' } });
    const call = door.nodeService().collect({ token: Buffer.alloc(32) });
    const ended = new Promise<ServiceError>((resolve) => call.on('error', resolve as never));
    call.resume();
    await until(() => door.openConnections === 1);
    await statusOfCall(door.nodeService(), trustBundle, new Metadata());
    const begun = performance.now();
    await door.server.close();
    expect(performance.now() - begun).toBeLessThan(3_000);
    expect([(await ended).code, remoteError(await ended).reason]).toEqual([status.UNAVAILABLE, 'GOING_AWAY']);
  });

  it('of a handshake go on, and are cut off when the grace time is over', async () => {
    door = await TestDoor.open({
      handlers: {
        Pair: () => NEVER,
      },
    });
    const call = door.nodeService().pair();
    const ended = new Promise<ServiceError>((resolve) => call.on('error', resolve as never));
    call.write(PairRequest.fromPartial({}));
    await until(() => door.openConnections === 1);
    await statusOfCall(door.nodeService(), trustBundle, new Metadata());
    const begun = performance.now();
    await door.server.close();
    expect(performance.now() - begun).toBeGreaterThanOrEqual(290);
    expect([status.UNAVAILABLE, status.CANCELLED, status.INTERNAL]).toContain((await ended).code);
  });

  async function* never(): AsyncGenerator<CollectResponse> {
    await new Promise(() => undefined);
    yield CollectResponse.fromPartial({});
  }
});

import type { Metadata, Server, ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { notFound } from '../errors/domain-error.js';
import { toStatus } from './status.js';

/** `grpc.health.v1.HealthCheckResponse.ServingStatus`, as far as it is used. */
type ServingStatus = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

interface HealthRequest {
  readonly service: string;
}

interface HealthResponse {
  readonly status: ServingStatus;
}

type WatchCall = ServerWritableStream<HealthRequest, HealthResponse> & { readonly metadata: Metadata };

/**
 * `grpc.health.v1` of the server and of each service; NOT_SERVING until told otherwise. Ours, since the implementation of
 * `grpc-health-check` remembers every name that a stranger ever asked to watch.
 */
export class GrpcHealth {
  readonly #names: ReadonlySet<string>;
  readonly #watchers = new Map<WatchCall, string>();
  #status: 'SERVING' | 'NOT_SERVING' = 'NOT_SERVING';

  /** @param services Full names, as in `palyra.controlplane.v1.ControlPlane`. */
  constructor(services: readonly string[]) {
    this.#names = new Set(['', ...services]);
  }

  set(status: 'SERVING' | 'NOT_SERVING'): void {
    this.#status = status;
    for (const [call, service] of this.#watchers) {
      call.write({ status: this.statusOf(service) });
    }
  }

  addTo(server: Server): void {
    server.addService(healthService, {
      check: (
        call: ServerUnaryCall<HealthRequest, HealthResponse>,
        callback: sendUnaryData<HealthResponse>,
      ) => {
        this.check(call.request.service, callback);
      },
      watch: (call: WatchCall) => {
        this.watch(call);
      },
      list: (_call: unknown, callback: sendUnaryData<unknown>) => {
        callback(null, { statuses: this.list() });
      },
    });
  }

  private check(service: string, callback: sendUnaryData<HealthResponse>): void {
    const status = this.statusOf(service);
    if (status === 'SERVICE_UNKNOWN') {
      callback(toStatus(notFound('SERVICE_UNKNOWN', 'no service of that name is served here')));
      return;
    }
    callback(null, { status });
  }

  private watch(call: WatchCall): void {
    const { service } = call.request;
    this.#watchers.set(call, service);
    call.on('cancelled', () => {
      this.#watchers.delete(call);
    });
    call.write({ status: this.statusOf(service) });
  }

  private list(): Record<string, HealthResponse> {
    return Object.fromEntries([...this.#names].map((name) => [name, { status: this.#status }]));
  }

  private statusOf(service: string): ServingStatus {
    return this.#names.has(service) ? this.#status : 'SERVICE_UNKNOWN';
  }
}

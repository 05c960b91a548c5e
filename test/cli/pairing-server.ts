import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type ServerDuplexStream,
  status,
} from '@grpc/grpc-js';
import { verifyCsr, type VerifiedCsr } from '../../src/ca/csr.js';
import { DEFAULT_CERT_VALIDITY } from '../../src/ca/issued-certificate.js';
import { decodeCertificates } from '../../src/ca/pem.js';
import type { TrustBundle } from '../../src/ca/trust-bundle.js';
import type { Endpoint } from '../../src/client/grpc/endpoint.js';
import {
  type CollectRequest,
  CollectResponse,
  NodeServiceService,
  type PairProof,
  type PairRequest,
  type PairResponse,
} from '../../src/generated/palyra/controlplane/v1/node_service.js';
import { PairingState } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { newDeviceId } from '../../src/identity/device-id.js';
import { clientKindFromProto } from '../../src/identity/client-kind-message.js';
import type { LinkCode, PinCode } from '../../src/pairing/protocol/code.js';
import { parseHello } from '../../src/pairing/protocol/messages.js';
import { derivePassword } from '../../src/pairing/protocol/password.js';
import { type PendingProof, respondToHello } from '../../src/pairing/protocol/server-handshake.js';
import { drawScalar, Scalar } from '../../src/spake2plus/p256.js';
import { decoyVerifier, makeVerifier, type Verifier } from '../../src/spake2plus/verifier.js';
import { systemClock } from '../../src/time/clock.js';
import { TestCa, verifiedCsr } from '../ca/test-ca.js';
import { domainStatus } from './domain-status.js';
import { startGrpcServer, type RunningServer } from './grpc-server.js';

type PairCall = ServerDuplexStream<PairRequest, PairResponse>;
type CollectCall = Parameters<handleServerStreamingCall<CollectRequest, CollectResponse>>[0];

/** A request as this stand-in keeps it. */
interface Request {
  readonly deviceId: string;
  readonly token: Buffer;
  readonly csr: VerifiedCsr;
  state: PairingState;
  reason: string;
  chain: Buffer[];
  readonly watchers: Set<CollectCall>;
}

/** Ways in which a server, or somebody in between, may misbehave. */
export interface Misbehaviour {
  /** Break the call off once the proof has come, after or before recording the request. */
  breakOff?: 'recorded' | 'forgotten';
  /** Send a receipt and record nothing. */
  forgeReceipt?: boolean;
  /** Certify another key, or another device, or with the key of another CA. */
  certify?: 'other_key' | 'other_device' | 'other_ca';
  /** Send the bundle of another cluster with the certificate. */
  bundle?: TrustBundle;
}

/** What the server keeps of codes, by their id. */
export async function verifiersOf(
  codes: readonly (PinCode | LinkCode)[],
): Promise<ReadonlyMap<string, Verifier>> {
  const verifiers = new Map<string, Verifier>();
  for (const code of codes) {
    const { w0, w1 } = await derivePassword(code);
    verifiers.set(code.codeId, makeVerifier(w0, w1));
  }
  return verifiers;
}

/**
 * The server's side of pairing for tests of the device's side: the real handshake and the real CA over real TLS, and a
 * queue in memory that the test decides on.
 */
export class PairingServer {
  readonly misbehaviour: Misbehaviour = {};
  readonly hellos: string[] = [];
  readonly proofs: PairProof[] = [];
  readonly requests: Request[] = [];
  #server: RunningServer | undefined;
  #collects = 0;
  readonly #collectWaiters: (() => void)[] = [];

  private constructor(
    readonly ca: TestCa,
    private readonly codes: ReadonlyMap<string, Verifier>,
  ) {}

  static async start(codes: ReadonlyMap<string, Verifier>, ca?: TestCa): Promise<PairingServer> {
    const server = new PairingServer(ca ?? (await TestCa.create()), codes);
    await server.listen();
    return server;
  }

  get endpoint(): Endpoint {
    return this.#server!.endpoint;
  }

  /** Listens (again) on `port`. */
  async listen(port = 0): Promise<void> {
    const { chain, key } = await this.ca.server();
    const pair: handleBidiStreamingCall<PairRequest, PairResponse> = (call) => {
      void this.#pair(call).catch((error: unknown) => call.emit('error', error));
    };
    const collect: handleServerStreamingCall<CollectRequest, CollectResponse> = (call) => {
      this.#collect(call);
    };
    this.#server = await startGrpcServer({ chain, key }, [[NodeServiceService, { pair, collect }]], port);
  }

  stop(): void {
    this.#server?.close();
  }

  async approve(): Promise<void> {
    const request = this.requests.at(-1)!;
    const other = this.misbehaviour.certify;
    const ca = other === 'other_ca' ? await TestCa.create({ trustDomain: this.ca.trustDomain }) : this.ca;
    const certificate = await ca.authority.issueDeviceCertificate({
      deviceId: other === 'other_device' ? newDeviceId(systemClock, randomBytes) : request.deviceId,
      csr: other === 'other_key' ? verifiedCsr().csr : request.csr,
      lifetimeMs: DEFAULT_CERT_VALIDITY,
    });
    request.chain = [...decodeCertificates(certificate.pem), ...this.ca.bundle.roots];
    this.#change(request, PairingState.PAIRING_STATE_APPROVED);
  }

  reject(reason: string): void {
    const request = this.requests.at(-1)!;
    request.reason = reason;
    this.#change(request, PairingState.PAIRING_STATE_REJECTED);
  }

  expire(): void {
    this.#change(this.requests.at(-1)!, PairingState.PAIRING_STATE_EXPIRED);
  }

  forget(): void {
    this.requests.length = 0;
  }

  /** Resolves when `count` calls of Collect have been answered in all. */
  async collected(count: number): Promise<void> {
    while (this.#collects < count) await new Promise<void>((resolve) => this.#collectWaiters.push(resolve));
  }

  async #pair(call: PairCall): Promise<void> {
    const messages = call as AsyncIterable<PairRequest>;
    let pending: PendingProof | undefined;
    for await (const { message } of messages) {
      if (message?.$case === 'hello') {
        const { value } = message;
        this.hellos.push(value.deviceId);
        const hello = parseHello({ ...value, clientKind: clientKindFromProto(value.clientKind) ?? '' });
        const answer = respondToHello({
          hello,
          verifier: this.codes.get(hello.codeId) ?? decoyVerifier(randomBytes),
          fields: this.#welcomeFields(),
          y: Scalar.of(drawScalar(randomBytes)),
        });
        pending = answer.pending;
        const { epoch, sequence, ...welcome } = answer.welcome;
        const value64 = { ...welcome, epoch: BigInt(epoch), sequence: BigInt(sequence) };
        call.write({
          message: {
            $case: 'welcome',
            value: {
              ...value64,
              grpcEndpoints: [...welcome.grpcEndpoints],
              quicEndpoints: [...welcome.quicEndpoints],
              roots: [...welcome.roots],
            },
          },
        });
      }
      if (message?.$case === 'proof') {
        this.proofs.push(message.value);
        this.#judge(call, pending!, message.value);
        return;
      }
    }
  }

  #judge(call: PairCall, pending: PendingProof, proof: PairProof): void {
    const { breakOff, forgeReceipt } = this.misbehaviour;
    const outcome = pending.check(proof, verifyCsr);
    const record = breakOff !== 'forgotten' && forgeReceipt !== true;
    if (outcome.kind === 'verified' && record) {
      this.requests.push({
        deviceId: outcome.hello.deviceId,
        token: outcome.collectToken,
        csr: outcome.request,
        state: PairingState.PAIRING_STATE_PENDING_APPROVAL,
        reason: '',
        chain: [],
        watchers: new Set(),
      });
    }
    if (breakOff !== undefined) {
      call.emit('error', { code: status.UNAVAILABLE, details: 'connection lost' });
      return;
    }
    if (outcome.kind !== 'verified') {
      call.emit('error', domainStatus(status.UNAUTHENTICATED, 'PAIRING_REFUSED', 'refused'));
      return;
    }
    call.write({ message: { $case: 'receipt', value: {} } });
    call.end();
  }

  #collect(call: CollectCall): void {
    const request = this.requests.find(({ token }) => token.equals(call.request.token));
    if (request === undefined) {
      call.emit('error', domainStatus(status.NOT_FOUND, 'PAIRING_NOT_FOUND', 'begin again'));
    } else {
      request.watchers.add(call);
      this.#tell(request);
    }
    this.#collects += 1;
    for (const waiter of this.#collectWaiters.splice(0)) waiter();
  }

  #change(request: Request, state: PairingState): void {
    request.state = state;
    this.#tell(request);
  }

  #tell(request: Request): void {
    const { bundle = this.ca.bundle } = this.misbehaviour;
    const answer = CollectResponse.fromPartial({
      requestId: 'request-1',
      state: request.state,
      reason: request.reason,
      expireTime: new Date(Date.now() + DEFAULT_CERT_VALIDITY),
      certificateChain: request.chain,
      bundle: { ...bundle, roots: [...bundle.roots], epoch: 10n, sequence: 8n },
    });
    for (const watcher of request.watchers) {
      watcher.write(answer);
      if (request.state !== PairingState.PAIRING_STATE_PENDING_APPROVAL) watcher.end();
    }
    if (request.state !== PairingState.PAIRING_STATE_PENDING_APPROVAL) request.watchers.clear();
  }

  #welcomeFields(): Parameters<typeof respondToHello>[0]['fields'] {
    const { trustDomain, roots } = this.ca.bundle;
    return {
      trustDomain,
      roots,
      grpcEndpoints: [this.endpoint.text],
      quicEndpoints: ['127.0.0.1:7444'],
      epoch: 10,
      sequence: 7,
    };
  }
}

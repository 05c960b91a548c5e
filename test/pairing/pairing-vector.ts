import { readFileSync } from 'node:fs';
import type {
  HelloInput,
  Welcome,
  WelcomeFields,
  WelcomeInput,
} from '../../src/pairing/protocol/messages.js';

/** The pairing vectors as they stand in `test/vectors/`, and their messages as our types. */

export interface HelloVector {
  version: string;
  suite: string;
  code_id: string;
  device_id: string;
  client_kind: string;
  platform: string;
  identity_key: string;
  csr_hash: string;
  share_p: string;
}

export interface WelcomeVector {
  trust_domain: string;
  grpc_endpoints: string[];
  quic_endpoints: string[];
  epoch: number;
  sequence: number;
  roots: string[];
  share_v: string;
  confirm_v: string;
}

export interface PairingVector {
  code: { text: string };
  identity: { pkcs8: string };
  csr: string;
  x: string;
  y: string;
  password: { w0: string; w1: string; L: string };
  hello: HelloVector;
  welcome: WelcomeVector;
  t_preimage: string;
  t: string;
  spake2plus: Record<
    'context' | 'id_prover' | 'id_verifier' | 'k_shared' | 'confirm_v' | 'confirm_p',
    string
  >;
  proof: { confirm_p: string; csr: string; signed: string; signature: string };
  collect_token: string;
  collect_token_hash: string;
  refused: {
    altered_welcomes: {
      case: string;
      welcome: WelcomeVector;
      device_expects_confirm_v: string;
      reason: string;
    }[];
    altered_hellos: {
      case: string;
      hello: HelloVector;
      confirm_p: string;
      server_expects_confirm_p: string;
      reason: string;
    }[];
    shares: { case: string; share: string; reason: string }[];
    identity_keys: { case: string; identity_key: string; reason: string }[];
    signatures: { case: string; signature: string; reason: string }[];
    wrong_code: Record<
      | 'share_p'
      | 'server_confirm_v'
      | 'device_expects_confirm_v'
      | 'device_would_send_confirm_p'
      | 'server_expects_confirm_p'
      | 'reason',
      string
    > & { device_code: { text: string } };
  };
}

export const hex = (text: string): Buffer => Buffer.from(text, 'hex');

export const helloInput = (hello: HelloVector): HelloInput => ({
  version: hello.version,
  suite: hello.suite,
  codeId: hello.code_id,
  deviceId: hello.device_id,
  clientKind: hello.client_kind,
  platform: hello.platform,
  identityKey: hex(hello.identity_key),
  csrHash: hex(hello.csr_hash),
  shareP: hex(hello.share_p),
});

export const welcomeInput = (welcome: WelcomeVector): WelcomeInput & Welcome => ({
  trustDomain: welcome.trust_domain,
  grpcEndpoints: welcome.grpc_endpoints,
  quicEndpoints: welcome.quic_endpoints,
  epoch: welcome.epoch,
  sequence: welcome.sequence,
  roots: welcome.roots.map(hex),
  shareV: hex(welcome.share_v),
  confirmV: hex(welcome.confirm_v),
});

export const fieldsOf = (welcome: Welcome): WelcomeFields => ({
  trustDomain: welcome.trustDomain,
  grpcEndpoints: welcome.grpcEndpoints,
  quicEndpoints: welcome.quicEndpoints,
  epoch: welcome.epoch,
  sequence: welcome.sequence,
  roots: welcome.roots,
});

export function readPairingVector(file: string): PairingVector {
  return JSON.parse(readFileSync(`test/vectors/${file}.json`, 'utf8')) as PairingVector;
}

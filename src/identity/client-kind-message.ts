import { ClientKind as ProtoClientKind } from '../generated/palyra/controlplane/v1/pairing.js';
import type { ClientKind } from './device-identity.js';

const CLIENT_KIND: Readonly<Record<ClientKind, ProtoClientKind>> = {
  cli: ProtoClientKind.CLIENT_KIND_CLI,
  desktop: ProtoClientKind.CLIENT_KIND_DESKTOP,
  mobile: ProtoClientKind.CLIENT_KIND_MOBILE,
  node: ProtoClientKind.CLIENT_KIND_NODE,
};

/** A kind as rows keep it; what this version does not know is `UNSPECIFIED`. */
export function clientKindToProto(kind: string): ProtoClientKind {
  return Object.hasOwn(CLIENT_KIND, kind)
    ? CLIENT_KIND[kind as ClientKind]
    : ProtoClientKind.CLIENT_KIND_UNSPECIFIED;
}

/** The word that stands in the transcript; `undefined` for a number that is no kind. */
export function clientKindFromProto(kind: ProtoClientKind): ClientKind | undefined {
  const found = Object.entries(CLIENT_KIND).find(([, proto]) => proto === kind);
  return found?.[0] as ClientKind | undefined;
}

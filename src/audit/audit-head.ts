/** Signed heads of the audit chain (docs/protocol.md, "Audit"). Pure. */
import { sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { enc } from '../encoding/canonical.js';

const HEAD_LABEL = 'palyra-audit-head-v1';

/** The end of a chain at some moment: whoever keeps a signed one can tell later whether anything before it changed. */
export interface AuditHead {
  /** 16 bytes. */
  readonly storeId: Buffer;
  readonly epoch: number;
  readonly sequence: number;
  /** Hash of the entry with this sequence. */
  readonly hash: Buffer;
}

export interface SignedAuditHead extends AuditHead {
  /** Ed25519, 64 bytes. */
  readonly signature: Buffer;
}

/** `privateKey` is the store's Ed25519 audit key. */
export function signHead(head: AuditHead, privateKey: KeyObject): SignedAuditHead {
  return { ...head, signature: sign(null, headPreimage(head), privateKey) };
}

export function headSignatureHolds(head: SignedAuditHead, auditKey: KeyObject): boolean {
  return verify(null, headPreimage(head), auditKey, head.signature);
}

/** What the signature of a head is over. */
export function headPreimage(head: AuditHead): Buffer {
  return enc(HEAD_LABEL, head.storeId, head.epoch, head.sequence, head.hash);
}

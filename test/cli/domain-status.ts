import { Metadata, type status } from '@grpc/grpc-js';
import { ErrorInfo } from '../../src/generated/google/rpc/error_details.js';
import { Status } from '../../src/generated/google/rpc/status.js';

/** A failure as our service sends it. */
export function domainStatus(
  code: status,
  reason: string,
  message: string,
): { code: status; details: string; metadata: Metadata } {
  const info = ErrorInfo.encode({ reason, domain: 'palyra', metadata: {} }).finish();
  const statusDetails = [{ typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value: Buffer.from(info) }];
  const metadata = new Metadata();
  metadata.set(
    'grpc-status-details-bin',
    Buffer.from(Status.encode({ code, message, details: statusDetails }).finish()),
  );
  return { code, details: message, metadata };
}

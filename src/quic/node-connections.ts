/** Why the server ends a connection: QUIC application close codes (docs/protocol.md, "QUIC"). */
export const CLOSE_CODE = {
  not_admitted: 1,
  busy: 2,
  revoked: 3,
  expired: 4,
  superseded: 5,
  suspended: 6,
  going_away: 7,
} as const;
export type CloseReason = keyof typeof CLOSE_CODE;

/** Port from the registry to the open connections; the QUIC endpoint implements it. */
export interface NodeConnections {
  /**
   * Closes every connection of the device, those whose admission is still being decided included. Called after the
   * revocation has been committed, so a handshake that read the identity before is closed here and one that reads it
   * later finds none. Returns how many were closed.
   */
  closeDevice(deviceId: string, reason: CloseReason): number;
  /**
   * Closes the connections of the device whose certificate is none of `fingerprints`. Called after a commit that took a
   * certificate off the device's identity. Returns how many were closed.
   */
  closeOthers(deviceId: string, fingerprints: readonly string[], reason: CloseReason): number;
  /** Number of admitted connections of the device. */
  openConnections(deviceId: string): number;
}

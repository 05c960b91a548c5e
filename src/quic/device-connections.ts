import { CLOSE_CODE, type CloseReason, type NodeConnections } from './node-connections.js';

/** A connection as its device's list knows it. */
export interface ListedConnection {
  readonly fingerprint: string;
  readonly isAdmitted: boolean;
  /** Closes it now; the close is sent before this returns. */
  end(reason: CloseReason): void;
  /** Makes it end at `at` (Unix ms) if it would live longer. */
  endBy(at: number, reason: CloseReason): void;
  /** Ends it if no root in the bundle leads to its certificate any more; returns whether it did. */
  endIfUntrusted(): boolean;
}

/**
 * Which connections each device has, those still being decided included. A connection is entered *before* its device's
 * identity is read, and a revocation is committed *before* this list is walked, so one of the two sees the other
 * (DESIGN §6).
 */
export class DeviceConnections implements NodeConnections {
  readonly #byDevice = new Map<string, Set<ListedConnection>>();

  /** Returns what takes the connection out again; calling that twice does no harm. */
  enter(deviceId: string, connection: ListedConnection): () => void {
    const connections = this.#byDevice.get(deviceId) ?? new Set();
    this.#byDevice.set(deviceId, connections.add(connection));
    return () => {
      connections.delete(connection);
      if (connections.size === 0 && this.#byDevice.get(deviceId) === connections)
        this.#byDevice.delete(deviceId);
    };
  }

  closeDevice(deviceId: string, reason: CloseReason): number {
    const connections = [...(this.#byDevice.get(deviceId) ?? [])];
    for (const connection of connections) connection.end(reason);
    return connections.length;
  }

  closeOthers(deviceId: string, fingerprints: readonly string[], reason: CloseReason): number {
    const listed = [...(this.#byDevice.get(deviceId) ?? [])];
    const others = listed.filter((connection) => !fingerprints.includes(connection.fingerprint));
    for (const connection of others) connection.end(reason);
    return others.length;
  }

  /**
   * Ends the connections that no root in the bundle leads to any more. Called after a root was taken out: a connection is
   * entered in the same turn in which its chain was judged, so it was judged by the new bundle, or is here.
   */
  closeUntrusted(): number {
    const connections = [...this.#byDevice.values()].flatMap((ofDevice) => [...ofDevice]);
    return connections.filter((connection) => connection.endIfUntrusted()).length;
  }

  openConnections(deviceId: string): number {
    return this.#admitted(deviceId).length;
  }

  /** Ends the oldest admitted connection with another certificate, for one with the newest; returns whether there was one. */
  endOneForNewest(deviceId: string, currentFingerprint: string): boolean {
    const oldest = this.#admitted(deviceId).find(({ fingerprint }) => fingerprint !== currentFingerprint);
    oldest?.end('superseded');
    return oldest !== undefined;
  }

  /** The newest certificate came in: connections with another one end when the overlap does (DESIGN §7). */
  supersedeOthers(deviceId: string, currentFingerprint: string, until: number): void {
    for (const connection of this.#admitted(deviceId)) {
      if (connection.fingerprint !== currentFingerprint) connection.endBy(until, 'superseded');
    }
  }

  hasAdmitted(deviceId: string, fingerprint: string): boolean {
    return this.#admitted(deviceId).some((connection) => connection.fingerprint === fingerprint);
  }

  /** Devices with at least one admitted connection. */
  get connectedDevices(): readonly string[] {
    return [...this.#byDevice.keys()].filter((deviceId) => this.openConnections(deviceId) > 0);
  }

  #admitted(deviceId: string): ListedConnection[] {
    return [...(this.#byDevice.get(deviceId) ?? [])].filter((connection) => connection.isAdmitted);
  }
}

/** The application close code of a reason. */
export const closeCode = (reason: CloseReason): number => CLOSE_CODE[reason];

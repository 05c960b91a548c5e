import type { DeviceEventLog } from './device-event-log.js';

export interface DeviceEventFeedParts {
  readonly log: Pick<DeviceEventLog, 'concerned'>;
  /** Number of the last committed audit entry. */
  readonly sequence: () => number;
  /** Calls the listener after each commit; returns what ends that. */
  readonly onCommit: (listener: () => void) => () => void;
  readonly onFailure: (error: unknown) => void;
}

/** One open stream of events. */
export interface EventListener {
  /** There may be something new. */
  wake(): void;
  /** The device was revoked: its connections end right after this. */
  sayFarewell(): void;
}

/** Wakes the streams of those devices that a commit is about, with one look at the log for all of them. */
export class DeviceEventFeed {
  readonly #listeners = new Map<string, Set<EventListener>>();
  #seen: number;
  #isFollowing = false;
  readonly #end: () => void;

  constructor(private readonly parts: DeviceEventFeedParts) {
    this.#seen = parts.sequence();
    this.#end = parts.onCommit(() => {
      void this.#follow();
    });
  }

  /** Calls `listener` until the returned function is called. */
  listen(deviceId: string, listener: EventListener): () => void {
    const ofDevice = this.#listeners.get(deviceId) ?? new Set();
    this.#listeners.set(deviceId, ofDevice.add(listener));
    return () => {
      ofDevice.delete(listener);
      if (ofDevice.size === 0 && this.#listeners.get(deviceId) === ofDevice) this.#listeners.delete(deviceId);
    };
  }

  /** To be called once the revocation is committed and before the connections are closed, which waits for nobody. */
  announceRevocation(deviceId: string): void {
    for (const listener of this.#listeners.get(deviceId) ?? []) listener.sayFarewell();
  }

  close(): void {
    this.#end();
  }

  /** One round at a time; commits that come meanwhile are the next round's. */
  async #follow(): Promise<void> {
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    try {
      while (this.#seen < this.parts.sequence()) await this.#round();
    } catch (error) {
      // The streams look for themselves, so that none misses what could not be read here.
      this.#wakeAll();
      this.parts.onFailure(error);
    } finally {
      this.#isFollowing = false;
    }
  }

  async #round(): Promise<void> {
    const range = { after: this.#seen, upTo: this.parts.sequence() };
    this.#seen = range.upTo;
    if (this.#listeners.size === 0) return;
    const { everybody, deviceIds } = await this.parts.log.concerned(range);
    if (everybody) this.#wakeAll();
    else for (const deviceId of deviceIds) this.#wake(deviceId);
  }

  #wakeAll(): void {
    for (const deviceId of this.#listeners.keys()) this.#wake(deviceId);
  }

  #wake(deviceId: string): void {
    for (const listener of this.#listeners.get(deviceId) ?? []) listener.wake();
  }
}

import type { StoreTime } from '../../database/unit-of-work.js';
import type { ShownIdentity } from './device-keys.js';

/** What happens while a device pairs, for whoever shows it to a person or a script. */
export type PairingEvent =
  /** An earlier pairing was not finished; it is taken up again, and no code is used. */
  | { readonly event: 'resumed' }
  /** The earlier pairing came to nothing: a new one begins. */
  | { readonly event: 'dropped'; readonly why: 'not_found' | 'expired' }
  /** The server has the CA whose key the link names; nothing was sent yet. */
  | { readonly event: 'server'; readonly endpoint: string; readonly trustDomain: string }
  /** The server knows the code. These are the words that the operator compares. */
  | ({ readonly event: 'device' } & ShownIdentity)
  | {
      readonly event: 'waiting_for_approval';
      readonly requestId: string;
      /** Unix milliseconds; `undefined` when the server did not say. */
      readonly expiresAt: number | undefined;
    }
  /** The server went away while the device waited; it keeps trying. */
  | { readonly event: 'disconnected'; readonly message: string }
  /** The server's store is at an earlier time than it was: somebody put an old copy back (DESIGN §4). */
  | { readonly event: 'store_time_fell'; readonly known: StoreTime; readonly seen: StoreTime }
  /** Done: identity and certificate are saved. */
  | {
      readonly event: 'certificate';
      readonly deviceId: string;
      /** SHA-256 of the certificate, lower-case hex. */
      readonly fingerprint: string;
      /** Unix milliseconds. */
      readonly expiresAt: number;
    };

export type PairingObserver = (event: PairingEvent) => void;

import type { Settings } from './config/settings.js';
import type { Store } from './database/open-store.js';
import type { StoreTime } from './database/unit-of-work.js';
import type { ServiceHolds } from './service-holds/service-holds.js';
import type { Clock } from './time/clock.js';
import type { ClockWatch } from './time/clock-watch.js';

/**
 * What is opened before the application is made and closed after it has ended. Modules take the parts by the tokens below
 * (`{ provide: X, inject: [UNIT_OF_WORK, CLOCK], useFactory: … }`); `src/runtime.module.ts` provides them everywhere.
 */
export interface Runtime {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly store: Store;
  /** What stops pairing, issuance, admission or pruning. */
  readonly holds: ServiceHolds;
  readonly clockWatch: ClockWatch;
}

/** Epoch and audit sequence of the last committed unit. */
export interface StoreTimeSource {
  storeTime(): StoreTime;
}

/** Injection tokens. */
export const STORE = Symbol('Store');
export const SETTINGS = Symbol('Settings');
export const CLOCK = Symbol('Clock');
export const UNIT_OF_WORK = Symbol('UnitOfWork');
export const COMMITTED_READER = Symbol('CommittedReader');
export const STORE_TIME = Symbol('StoreTimeSource');
export const SERVICE_HOLDS = Symbol('ServiceHolds');
export const CLOCK_WATCH = Symbol('ClockWatch');
/** `OperatorAuthenticator`; the operators' module provides and exports it. */
export const OPERATOR_AUTHENTICATOR = Symbol('OperatorAuthenticator');

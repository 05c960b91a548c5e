import { store } from './store.mjs';
import { pairing } from './pairing.mjs';

/** Every security check of the service, by the part it belongs to. */
export const mutations = [...store, ...pairing];

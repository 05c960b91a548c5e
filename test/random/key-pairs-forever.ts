import { newKeyPair } from '../../src/random/key-pair.js';

/** A process that makes and exports keys while it collects garbage often and at ever other moments; says when it is done. */
const ROUNDS = 4_000;
const EXPORTS = 20;

const held: string[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const { publicKey } = newKeyPair('ed25519');
  // Moves the next collection to another place, so that some fall into an export.
  held[0] = `${'x'.repeat(round % 7)}${String(Math.random())}`;
  for (let count = 0; count < EXPORTS; count += 1) publicKey.export({ format: 'jwk' });
}
console.log('done');

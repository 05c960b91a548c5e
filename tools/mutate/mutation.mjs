/**
 * One way to break one security check, and the test that must notice.
 *
 * @typedef {object} Mutation
 * @property {string} name What no longer holds once it is applied.
 * @property {string} rule The page and section that ask for it.
 * @property {string} file The file that holds the check.
 * @property {string} find Text that stands there exactly once; anything else makes the mutation stale.
 * @property {string} replace What stands there instead.
 * @property {string} test The spec that must fail.
 * @property {string} [only] The tests of the spec to run, as Jest's `-t` takes it; for specs that take long.
 */

/**
 * The mutations of one file. Each change is `[name, find, replace]`, and may end with fields that differ from `common`.
 *
 * @param {string} file
 * @param {{ rule: string, test: string, only?: string }} common
 * @param {readonly [string, string, string, Partial<Mutation>?][]} changes
 * @returns {Mutation[]}
 */
export function inFile(file, common, changes) {
  return changes.map(([name, find, replace, own]) => ({ ...common, name, file, find, replace, ...own }));
}

/** The text with the mutation applied; `undefined` when it does not fit the text (any more). */
export function applied(mutation, text) {
  const pieces = text.split(mutation.find);
  return pieces.length === 2 ? pieces.join(mutation.replace) : undefined;
}

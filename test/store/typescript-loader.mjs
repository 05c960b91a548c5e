/**
 * Lets `node --import test/store/typescript-loader.mjs file.ts` run our sources in a process of their own, compiled as
 * Jest compiles them. For tests that kill a process.
 */
import { readFile } from 'node:fs/promises';
import { register } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { transform } from '@swc/core';

const COMPILER = {
  swcrc: false,
  sourceMaps: 'inline',
  jsc: {
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    target: 'es2023',
    keepClassNames: true,
  },
  module: { type: 'es6' },
};

// Node loads this file again, in a thread of its own, for the two hooks below.
if (isMainThread) register(import.meta.url);

export async function resolve(specifier, context, nextResolve) {
  const fromTypeScript = context.parentURL?.endsWith('.ts') === true;
  const ownFile = specifier.startsWith('.') && specifier.endsWith('.js');
  return nextResolve(fromTypeScript && ownFile ? specifier.replace(/\.js$/, '.ts') : specifier, context);
}

export async function load(url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context);
  const filename = fileURLToPath(url);
  const { code } = await transform(await readFile(filename, 'utf8'), { ...COMPILER, filename });
  return { format: 'module', source: code, shortCircuit: true };
}

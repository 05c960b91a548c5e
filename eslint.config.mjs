import eslint from '@eslint/js';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

/** Nest and TypeORM stay at the edge (docs/architecture.md): everything else is plain TypeScript. */
const atTheEdge = [
  'src/main.ts',
  'src/app.module.ts',
  'src/**/*.module.ts',
  'src/**/*.controller.ts',
  'src/**/*.guard.ts',
  'src/**/*.interceptor.ts',
  'src/**/*.filter.ts',
  'src/**/*.entity.ts',
  'src/database/**',
  'src/grpc/**',
  'src/secret-store/sql-*.ts',
  'src/quic/quic-strategy.ts',
  'src/quic/quic-client-proxy.ts',
  'src/observability/**',
];

export default tseslint.config(
  { ignores: ['.cache', 'dist/', 'dist-bench/', 'coverage/', 'reports/', 'src/generated/', 'node_modules/'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: [...atTheEdge, 'src/**/*.spec.ts', 'src/**/*.contract.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['@nestjs/*', 'typeorm'],
              message: 'Nest and TypeORM stay in the files that bind the domain to the world.',
              allowTypeImports: true,
            },
          ],
        },
      ],
      '@typescript-eslint/no-restricted-imports': 'off',
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/config/**', 'src/cli/**', 'src/client/**', 'src/**/*.spec.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only src/config reads the environment.' },
      ],
    },
  },
  {
    files: ['**/*.ts'],
    ignores: ['src/random/key-pair.ts', 'test/ca/foreign-key-pair.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: 'CallExpression[callee.name=/^generateKeyPair/]',
          message: 'newKeyPair of src/random/key-pair.ts: a generated KeyObject can hang Node 20.',
        },
      ],
    },
  },
  {
    files: ['**/*.spec.ts', 'test/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: {
        fetch: 'readonly',
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        Buffer: 'readonly',
      },
    },
  },
  prettier,
);

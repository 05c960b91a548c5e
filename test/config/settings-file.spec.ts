import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { loadSettings } from '../../src/config/settings-file.js';
import { SettingsError } from '../../src/config/settings.js';

describe('loadSettings', () => {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-settings-'));
  const before = process.cwd();

  beforeAll(() => {
    process.chdir(directory);
  });
  afterAll(() => {
    process.chdir(before);
    rmSync(directory, { recursive: true });
  });

  function problems(configFile: string | undefined): readonly string[] {
    try {
      loadSettings(configFile, {});
      return [];
    } catch (error) {
      if (error instanceof SettingsError) {
        return error.problems;
      }
      throw error;
    }
  }

  it('goes without a file when there is none, unless one was named', () => {
    expect(loadSettings(undefined, {}).settings.quic.maxConnections).toBe(256);
    expect(problems('other.yaml')).toEqual([expect.stringMatching(/^other\.yaml cannot be read \(ENOENT\)/)]);
    expect(problems('.')).toEqual([expect.stringMatching(/^\. cannot be read \(EISDIR\)/)]);
  });

  it('reads palyra.yaml of the working directory, or the file that was named instead', () => {
    writeFileSync('palyra.yaml', 'quic_max_connections: 7\nadvertise_grpc: [a.example:1, b.example:2]\n');
    writeFileSync('other.yaml', 'quic_max_connections: 8\n');
    const { settings, sources } = loadSettings(undefined, {});
    expect(settings.quic.maxConnections).toBe(7);
    expect(settings.cluster.advertiseGrpc).toEqual([
      { host: 'a.example', port: 1 },
      { host: 'b.example', port: 2 },
    ]);
    expect(settings.store.dataDir).toBe(join(process.cwd(), 'palyra-data'));
    expect(sources.get('quic_max_connections')).toBe('file');
    expect(loadSettings('other.yaml', {}).settings.quic.maxConnections).toBe(8);
    expect(
      loadSettings('other.yaml', { PALYRA_QUIC_MAX_CONNECTIONS: '9' }).settings.quic.maxConnections,
    ).toBe(9);
  });

  it('refuses a file that cannot be one of settings', () => {
    writeFileSync('large.yaml', `# ${'x'.repeat(1024 * 1024)}\n`);
    expect(problems('large.yaml')).toEqual([expect.stringContaining('larger than 1 MiB')]);
    writeFileSync('aliases.yaml', 'data_dir: &a x\nstore_key_file: *a\n');
    expect(problems('aliases.yaml')).toEqual([
      'aliases.yaml: aliases are not used in settings; write the value out',
    ]);
  });
});

import { describe, expect, it } from '@jest/globals';
import { describeSettings, formatSettings } from './settings-description.js';
import { parseSettingsText } from './settings-file.js';
import { type LoadedSettings, SettingsError, allSettings, parseSettings } from './settings.js';

const fromEnvironment = (environment: Record<string, string>): LoadedSettings =>
  parseSettings({ environment });

const fromFile = (content: string, environment: Record<string, string> = {}): LoadedSettings =>
  parseSettings({
    environment,
    file: { name: 'palyra.yaml', values: parseSettingsText('palyra.yaml', content) },
  });

function problemsOf(attempt: () => unknown): readonly string[] {
  try {
    attempt();
  } catch (error) {
    if (error instanceof SettingsError) {
      return error.problems;
    }
    throw error;
  }
  return [];
}

describe('parseSettings', () => {
  it('listens on loopback and keeps the documented limits when nothing is set', () => {
    const { settings, warnings } = fromEnvironment({});
    expect(settings.grpc.listen).toEqual({ host: '127.0.0.1', port: 7443 });
    expect(settings.quic.listen).toEqual({ host: '127.0.0.1', port: 7444 });
    expect(settings.http.listen).toEqual({ host: '127.0.0.1', port: 7480 });
    expect(settings.quic).toMatchObject({
      maxConnections: 256,
      maxConnectionsPerDevice: 4,
      maxHandshakes: 64,
      maxHandshakesPerAddress: 8,
      handshakeTimeout: 10_000,
      idleTimeout: 30_000,
      maxStreams: 32,
      maxUnread: 1_048_576,
    });
    expect(settings.pairing).toEqual({
      startsPerMinutePerAddress: 30,
      startsPerMinute: 1024,
      maxHandshakes: 256,
      requestTtl: 86_400_000,
      separateApprover: 'no',
    });
    expect(settings.cluster.certValidity).toBe(86_400_000);
    expect(settings.cluster.trustDomain).toBeUndefined();
    expect(settings.store.dataDir).toMatch(/\/palyra-data$/);
    expect(warnings).toEqual([]);
  });

  it('takes the environment before the file, and the file before the default', () => {
    const { settings, sources } = fromFile(
      'grpc_listen: "[::1]:0"\nquic_max_connections: 10\nserver_names: [A.example, 10.0.0.1]\n',
      { PALYRA_QUIC_MAX_CONNECTIONS: '20' },
    );
    expect(settings.grpc.listen).toEqual({ host: '::1', port: 0 });
    expect(settings.quic.maxConnections).toBe(20);
    expect(settings.cluster.serverNames).toEqual(['a.example', '10.0.0.1']);
    expect([
      sources.get('grpc_listen'),
      sources.get('quic_max_connections'),
      sources.get('log_level'),
    ]).toEqual(['file', 'environment', 'default']);
  });

  it('counts an empty variable and an empty key as not set', () => {
    const { settings, sources } = fromFile('trust_domain:\n', { PALYRA_LOG_LEVEL: ' ' });
    expect(settings.cluster.trustDomain).toBeUndefined();
    expect(settings.process.logLevel).toBe('info');
    expect(sources.get('log_level')).toBe('default');
  });

  it('reports all problems at once, each with its place and the way out', () => {
    const problems = problemsOf(() =>
      fromFile('grpc_lisen: 127.0.0.1:1\ncert_validity: 24\n', {
        PALYRA_GRPC_LISTEN: '7443',
        PALYRA_TRUST_DOMAIN: 'Example.org',
        PALYRA_DATABASE_URL: 'postgres://palyra:hunter2@db/palyra',
      }),
    );
    expect(problems).toEqual([
      'PALYRA_DATABASE_URL: PostgreSQL comes later: leave it unset, and SQLite in the data directory is used',
      'PALYRA_TRUST_DOMAIN is "Example.org": write it in lower case',
      'cert_validity in palyra.yaml is "24": write a duration with its unit: ms, s, m, h or d, for example 10s or 1h30m',
      expect.stringMatching(/^PALYRA_GRPC_LISTEN is "7443": write host:port/),
      expect.stringMatching(/^"grpc_lisen" in palyra.yaml is no setting: remove it/),
    ]);
  });

  it('warns of unknown variables by name and knows those of the clients', () => {
    const { warnings } = fromEnvironment({
      PALYRA_SERVICE_HOST: '10.0.0.1',
      PALYRA_TOKEN_FILE: '/run/token',
      OTHER: 'x',
    });
    expect(warnings).toEqual([expect.stringMatching(/^PALYRA_SERVICE_HOST is no setting/)]);
  });

  it('refuses a key file and a passphrase file at once', () => {
    const environment = { PALYRA_STORE_KEY_FILE: '/a', PALYRA_STORE_PASSPHRASE_FILE: '/b' };
    expect(problemsOf(() => fromEnvironment(environment))).toEqual([expect.stringContaining('are both set')]);
  });

  it('refuses keys that JavaScript objects bring along', () => {
    expect(problemsOf(() => fromFile('constructor: 1\n'))).toEqual([
      expect.stringContaining('"constructor"'),
    ]);
  });

  it('gives each setting one name of its own', () => {
    const names = allSettings().map((setting) => setting.name);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('parseSettingsText', () => {
  it('says where a file is no YAML or names a key twice', () => {
    expect(problemsOf(() => parseSettingsText('x.yaml', 'a: 1\na: 2\n'))).toEqual([
      expect.stringMatching(/^x.yaml line 2: .*unique/),
    ]);
    expect(problemsOf(() => parseSettingsText('x.yaml', 'a: [1\n'))).toEqual([
      expect.stringMatching(/^x.yaml line/),
    ]);
    expect(problemsOf(() => parseSettingsText('x.yaml', '- a\n'))).toEqual([
      expect.stringContaining('name: value'),
    ]);
  });

  it('takes an empty file for no settings', () => {
    expect(parseSettingsText('x.yaml', '# nothing\n')).toEqual({});
  });
});

describe('describeSettings', () => {
  it('shows each value in the words in which it is written, and where it came from', () => {
    const loaded = fromEnvironment({
      PALYRA_CERT_VALIDITY: '90m',
      PALYRA_GRPC_LISTEN: '[::1]:0',
      PALYRA_ADVERTISE_GRPC: 'a.example:1,b.example:2',
    });
    const rows = new Map(describeSettings(loaded).map((row) => [row.name, row]));
    expect(rows.get('cert_validity')).toMatchObject({ value: '90m', source: 'environment' });
    expect(rows.get('grpc_listen')).toMatchObject({ value: '[::1]:0', environment: 'PALYRA_GRPC_LISTEN' });
    expect(rows.get('advertise_grpc')?.value).toBe('a.example:1,b.example:2');
    expect(rows.get('quic_max_unread')).toMatchObject({ value: '1MiB', source: 'default' });
    expect(rows.get('database_url')?.value).toBeNull();
    expect(formatSettings([...rows.values()])).toMatch(/^PALYRA_TRUST_DOMAIN +\(unset\) +default$/m);
  });

  it('never shows the value of a secret', () => {
    const loaded = fromEnvironment({});
    const settings = {
      ...loaded.settings,
      store: { ...loaded.settings.store, databaseUrl: 'postgres://hunter2' },
    };
    const shown = JSON.stringify(describeSettings({ ...loaded, settings: settings as never }));
    expect(shown).toContain('(secret)');
    expect(shown).not.toContain('hunter2');
  });
});

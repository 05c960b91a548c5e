import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Command } from 'commander';
import { CliContext } from '../../src/cli/cli-context.js';
import { EXIT_CODE } from '../../src/cli/exit-code.js';
import { buildProgram } from '../../src/cli/program.js';
import { environmentName } from '../../src/config/setting.js';
import { allSettings } from '../../src/config/settings.js';
import { ControlPlaneService } from '../../src/generated/palyra/controlplane/v1/control_plane.js';
import { NodeServiceService } from '../../src/generated/palyra/controlplane/v1/node_service.js';
import { CALL_POLICY } from '../../src/grpc/call-policy.js';
import { Metrics } from '../../src/observability/metrics.js';
import { CLOSE_CODE } from '../../src/quic/node-connections.js';
import { reasonsInSource } from './reasons-in-source.js';

const ROOT = join(import.meta.dirname, '..', '..');
const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'examples/python/README.md',
  ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`),
];

const page = (name: string): string => readFileSync(join(ROOT, name), 'utf8');

/** The cells of all table rows of a page, without their backticks. */
function tableRows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^[|\s-]+$/.test(line))
    .map((line) => line.slice(1, -1).replaceAll('`', '').split('|'))
    .map((cells) => cells.map((cell) => cell.trim()));
}

const sorted = (values: Iterable<string>): string[] => [...new Set(values)].sort();

describe('docs/operations.md', () => {
  const rows = tableRows(page('docs/operations.md'));

  it('lists every setting with its default, in order, and no other', () => {
    const documented = rows
      .filter(([name]) => name?.startsWith('PALYRA_'))
      .map(([name, value]) => [name, value]);
    const settings = allSettings().map(({ name, fallback }) => [
      environmentName(name),
      fallback === undefined || fallback === '' ? 'unset' : fallback,
    ]);
    expect(documented).toEqual(settings);
  });

  it('lists every metric and no other', async () => {
    const metrics = new Metrics();
    metrics.readFrom({
      storeTime: () => ({ epoch: 1, sequence: 1 }),
      quicConnections: () => 0,
      devicesOnline: () => 0,
      certificateExpiries: () => ({}),
      nextDeviceExpiry: () => Promise.resolve(undefined),
      crlNextUpdate: () => undefined,
      roots: () => [],
    });
    const names = (await metrics.scrape()).matchAll(/^# TYPE (palyra_\w+)/gm);
    const documented = rows.map(([name]) => name ?? '').filter((name) => name.startsWith('palyra_'));
    expect(sorted(documented)).toEqual(sorted([...names].map(([, name]) => name ?? '')));
  });
});

describe('docs/protocol.md', () => {
  const text = page('docs/protocol.md');
  const callers = new Map(
    tableRows(text.slice(text.indexOf('## Who may call what'), text.indexOf('## QUIC'))).map(([rpc, who]) => [
      rpc,
      who,
    ]),
  );

  it('says of every RPC of the proto who may call it', () => {
    const methods = [...Object.values(ControlPlaneService), ...Object.values(NodeServiceService)];
    for (const { path } of methods) {
      const policy = CALL_POLICY.get(path);
      const rpc = path.slice(1).replace('palyra.controlplane.v1.', '').replace('/', '.');
      expect([rpc, callers.get(rpc)]).toEqual([
        rpc,
        policy?.caller === 'operator' ? policy.role : policy?.caller,
      ]);
    }
  });

  it('names no RPC of ours that is not served', () => {
    const served = new Set(
      [...CALL_POLICY.keys()].map((path) => path.replace(/^.*\.v1\./, '').replace('/', '.')),
    );
    const named = [...callers.keys()].filter((rpc) => /^(?:ControlPlane|NodeService)\./.test(rpc ?? ''));
    expect(named.filter((rpc) => !served.has(rpc ?? ''))).toEqual([]);
  });

  it('has every close code', () => {
    const codes = tableRows(text.slice(text.indexOf('Application close codes'))).map(([code]) => code);
    for (const code of Object.values(CLOSE_CODE)) expect(codes).toContain(String(code));
  });
});

describe('docs/errors.md', () => {
  it('has every reason of the source and no other', () => {
    const documented = page('docs/errors.md').matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)`/g);
    expect(sorted([...documented].map(([, reason]) => reason ?? ''))).toEqual(
      sorted(reasonsInSource(join(ROOT, 'src'))),
    );
  });
});

describe('docs/cli.md', () => {
  const text = page('docs/cli.md');
  const commands = leaves(
    buildProgram(
      new CliContext({
        stdin: process.stdin,
        stdout: process.stdout,
        stderr: process.stderr,
        environment: {},
      }),
    ),
  );

  it('lists every command with what it does, and no other', () => {
    const documented = tableRows(text).filter(([name]) => name?.startsWith('palyra '));
    const built = commands.map(({ line, command }) => [line, command.description()]);
    expect(documented.map(([line, , about]) => [line, about]).sort()).toEqual(built.sort());
  });

  it('names every option', () => {
    const options = commands.flatMap(({ command }) => command.options.map(({ long }) => long ?? ''));
    expect(sorted(options).filter((option) => !text.includes(option))).toEqual([]);
  });

  it('has every exit code', () => {
    const documented = tableRows(text.slice(text.indexOf('## Exit codes'))).map(([code]) => code);
    for (const code of Object.values(EXIT_CODE)) expect(documented).toContain(String(code));
  });
});

interface Leaf {
  /** As a person types it: `palyra pairing show <request-id>`. */
  readonly line: string;
  readonly command: Command;
}

function leaves(command: Command, before = ''): Leaf[] {
  const name = `${before}${command.name()}`;
  if (command.commands.length > 0) return command.commands.flatMap((child) => leaves(child, `${name} `));
  const line = [name, ...command.registeredArguments.map((argument) => `<${argument.name()}>`)].join(' ');
  return [{ line, command }];
}

/** The anchor that a heading gets: lower case, without punctuation, blanks as hyphens. */
function anchorsOf(text: string): Set<string> {
  const headings = text.matchAll(/^#+ (.+)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}

describe.each(PAGES)('%s', (name) => {
  it('links to what is there', () => {
    const links = [...page(name).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    const broken = links.filter((link) => !/^https?:/.test(link) && !resolves(name, link));
    expect(broken).toEqual([]);
  });

  it('holds no path of a machine', () => {
    expect(page(name)).not.toMatch(/\/(?:work|home|root)\//);
  });
});

function resolves(from: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? from : join(dirname(from), path);
  if (!existsSync(join(ROOT, target))) return false;
  return anchor === undefined || anchorsOf(page(target)).has(anchor);
}

describe('comments in the source', () => {
  it('point to sections that are there', () => {
    const cited = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .flatMap((path) => [...page(join('src', path)).matchAll(/docs\/([\w-]+\.md)(?:, "([^"]+)")?/g)]);
    const broken = cited.filter(([, file = '', section]) => {
      if (!existsSync(join(ROOT, 'docs', file))) return true;
      return section !== undefined && !page(`docs/${file}`).includes(`# ${section}\n`);
    });
    expect(sorted(broken.map(([text]) => text))).toEqual([]);
  });
});

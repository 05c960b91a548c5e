import { describe, expect, it } from '@jest/globals';
import { createLogger } from './logger.js';
import { NestLogger } from './nest-logger.js';

const SECRET = '0123456789abcdefghjkmnpqrstvwxyz0123456789abcdefghjk';
const TOKEN = `palyra1_7zk4m9qx_${SECRET}_${SECRET}`;

function logged(
  format: 'json' | 'text',
  isTTY = false,
): { lines: string[]; logger: ReturnType<typeof createLogger> } {
  const lines: string[] = [];
  const sink = { isTTY, write: (line: string) => lines.push(line) };
  return { lines, logger: createLogger({ level: 'debug', format, sink }) };
}

describe('createLogger', () => {
  it('writes one JSON object a line, with level and time in words', () => {
    const { lines, logger } = logged('json');
    logger.info({ event: 'ready', grpc: '127.0.0.1:7443' }, 'ready');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/\}\n$/);
    expect(JSON.parse(lines[0]!)).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      event: 'ready',
      grpc: '127.0.0.1:7443',
      msg: 'ready',
    });
  });

  it('writes text for people', () => {
    const { lines, logger } = logged('text');
    logger.warn({ device: '01K9', reason: 'two words' }, 'refused');
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN {2}refused device=01K9 reason="two words"\n$/);
    logger.error({ err: new Error('broken') }, 'failed');
    expect(lines[1]).toMatch(/ERROR failed\n {4}Error: broken\n {4} +at /);
  });

  it.each([
    ['a token in the text', {}, `got ${TOKEN}`],
    ['a token in a value', { a: { b: [TOKEN] } }, ''],
    ['a token in an error and its cause', { err: new Error(`x ${TOKEN}`, { cause: new Error(TOKEN) }) }, ''],
    ['a value under a secret name', { token: SECRET }, ''],
    ['a value under a secret name further down', { call: { metadata: { authorization: SECRET } } }, ''],
    ['a bearer credential', { header: `Bearer ${SECRET}` }, ''],
    ['a pairing link', {}, `palyra://pair?v=2&secret=${SECRET}`],
    ['a private key', { pem: `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----` }, ''],
  ])('leaves out %s, in both formats', (_name, fields, text) => {
    for (const format of ['json', 'text'] as const) {
      const { lines, logger } = logged(format);
      logger.error(fields, text);
      expect(lines).toHaveLength(1);
      expect(lines[0]).not.toContain(SECRET);
      expect(lines[0]).toContain('[redacted]');
    }
  });

  it('lets no text of others steer the terminal', () => {
    const { lines, logger } = logged('text');
    logger.warn({ platform: 'a\u001b[2Jb\u202ec\u009bd' }, 'from \u001b]0;x\u0007 afar');
    expect(lines[0]?.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(lines[0]).toContain('afar');
  });

  it('leaves out pairing codes', () => {
    const { lines, logger } = logged('json');
    logger.info('minted K7QM-482913 for you');
    expect(lines[0]).toContain('minted [redacted] for you');
  });
});

describe('NestLogger', () => {
  it('keeps how Nest wires itself for those who debug', () => {
    const { lines, logger } = logged('json');
    const nest = new NestLogger(logger);
    nest.log('AppModule dependencies initialized', 'InstanceLoader');
    nest.log('something happened', 'PairingHousekeeping');
    nest.error(new Error('broken'), 'PairingHousekeeping');
    const levels = lines.map((line) => (JSON.parse(line) as { level: string }).level);
    expect(levels).toEqual(['debug', 'info', 'error']);
  });

  it('keeps the error behind a message', () => {
    const { lines, logger } = logged('json');
    new NestLogger(logger).error('a round failed', new Error('the store is full'), 'PairingHousekeeping');
    expect(JSON.parse(lines[0]!)).toMatchObject({
      msg: 'a round failed',
      context: 'PairingHousekeeping',
      err: { message: 'the store is full' },
    });
  });
});

import { describe, expect, it } from '@jest/globals';
import { keyUsageExtension, subjectAltNameExtension } from './extension-writer.js';

describe('subjectAltName', () => {
  it('has a name of each kind in its own form', () => {
    const der = subjectAltNameExtension([
      { type: 'uri', value: 'x:y' },
      { type: 'dns', value: 'localhost' },
      { type: 'ip', value: '192.0.2.255' },
      { type: 'ip', value: '2001:db8:0:0:0:0:0:7' },
    ]);
    const names = [
      '8603783a79',
      '82096c6f63616c686f7374',
      '8704c00002ff',
      '871020010db8000000000000000000000007',
    ];
    expect(der.toString('hex')).toBe(`30310603551d11042a3028${names.join('')}`);
  });

  it.each([
    ['a name that is not ASCII', { type: 'dns', value: 'bücher.example' }],
    ['a letter whose low byte is ASCII', { type: 'uri', value: 'spiffe://x/\u0141' }],
    ['a line end', { type: 'uri', value: 'spiffe://x/\n' }],
    ['a name of nothing', { type: 'dns', value: '' }],
  ] as const)('is not written with %s', (_what, name) => {
    expect(() => subjectAltNameExtension([name])).toThrow('visible ASCII');
  });

  it.each(['::1', '256.0.0.1', '1:2:3:4:5:6:7:12345', '0:0:0:0:0:0:0:G'])(
    'is not written with the address %s',
    (value) => {
      expect(() => subjectAltNameExtension([{ type: 'ip', value }])).toThrow('eight groups');
    },
  );
});

describe('keyUsage', () => {
  it.each([
    [['digitalSignature'], '03020780'],
    [['keyCertSign', 'cRLSign'], '03020106'],
    [['cRLSign'], '03020102'],
  ] as const)('%j has no zero bits at its end', (usages, bits) => {
    expect(keyUsageExtension(usages).toString('hex')).toBe(`300e0603551d0f0101ff0404${bits}`);
  });

  it('of nothing is not written', () => {
    expect(() => keyUsageExtension([])).toThrow('at least one');
  });
});

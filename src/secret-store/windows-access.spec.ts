import { describe, expect, it } from '@jest/globals';
import { foreignPrincipals, mendingCommand, parseAccessList } from './windows-access.js';

const PATH = String.raw`C:\Users\Ada Byron\palyra-data\store.key`;
const USER = String.raw`desktop-7q1\ada`;
const DONE = 'Successfully processed 1 files; Failed processing 0 files';

/** As `icacls` prints it: further entries stand below the first. */
function output(entries: readonly string[], path = PATH, end = DONE): string {
  const indent = ' '.repeat(path.length + 1);
  const lines = entries.map((entry, index) => (index === 0 ? `${path} ${entry}` : indent + entry));
  return [...lines, '', end, ''].join('\r\n');
}

const foreignOf = (...entries: string[]): readonly string[] | undefined => {
  const parsed = parseAccessList(PATH, output(entries));
  return parsed && foreignPrincipals(parsed, USER);
};

describe('whoever else gets at a file', () => {
  it('is nobody where only the user, the system and administrators do', () => {
    expect(
      foreignOf(
        String.raw`NT AUTHORITY\SYSTEM:(I)(F)`,
        String.raw`BUILTIN\Administrators:(I)(F)`,
        String.raw`DESKTOP-7Q1\ada:(I)(F)`,
      ),
    ).toEqual([]);
  });

  it.each([
    [String.raw`BUILTIN\Users:(I)(RX)`, String.raw`BUILTIN\Users`],
    ['Everyone:(F)', 'Everyone'],
    [
      String.raw`NT AUTHORITY\Authenticated Users:(I)(OI)(CI)(IO)(GR,GE)`,
      String.raw`NT AUTHORITY\Authenticated Users`,
    ],
    [String.raw`DESKTOP-7Q1\eve:(Rc,S,RA)`, String.raw`DESKTOP-7Q1\eve`],
    [String.raw`OTHER\ada:(R)`, String.raw`OTHER\ada`],
    ['S-1-5-21-1004336348-1177238915-682003330-1001:(W)', 'S-1-5-21-1004336348-1177238915-682003330-1001'],
  ])('is seen in %s', (entry, principal) => {
    expect(foreignOf(String.raw`DESKTOP-7Q1\ada:(F)`, entry, entry)).toEqual([principal]);
  });

  it.each([
    'Everyone:(DENY)(W)',
    'Everyone:(N)',
    'CREATOR OWNER:(OI)(CI)(IO)(F)',
    String.raw`Mandatory Label\High Mandatory Level:(I)(NW)`,
  ])('is not in %s, which gives nobody else anything', (entry) => {
    expect(foreignOf(String.raw`DESKTOP-7Q1\ada:(F)`, entry)).toEqual([]);
  });

  it('is still seen where another entry takes something away from them', () => {
    expect(foreignOf('Everyone:(DENY)(W)', 'Everyone:(R)')).toEqual(['Everyone']);
  });
});

describe('parseAccessList', () => {
  it.each([
    ['nothing', ''],
    ['an empty list', output([])],
    ['a list of no entries', `${PATH} \r\n\r\n${DONE}\r\n`],
    ['another file', output(['Everyone:(N)'], String.raw`C:\other`)],
    [
      'a failure',
      output(['Everyone:(N)'], PATH, 'Successfully processed 0 files; Failed processing 1 files'),
    ],
    ['no count', output(['Everyone:(N)'], PATH, '')],
    [
      'another language',
      output(
        ['Jeder:(N)'],
        PATH,
        '1 Dateien erfolgreich verarbeitet, bei 0 Dateien ist ein Verarbeitungsfehler aufgetreten.',
      ),
    ],
    ['an entry without rights', output(['Everyone:(I)'])],
    ['an entry that is none', output(['Everyone'])],
    ['two groups of rights', output(['Everyone:(N)(F)'])],
    ['a second file', output(['Everyone:(N)']).replace(DONE, `C:\\other Everyone:(F)\r\n${DONE}`)],
    ['a refusal', `${PATH}: Access is denied.\r\n${DONE}\r\n`],
  ])('takes %s for no list', (_, text) => {
    expect(parseAccessList(PATH, text)).toBeUndefined();
  });
});

describe('mendingCommand', () => {
  it('removes what was inherited and who was found, and gives the user what is left', () => {
    expect(
      mendingCommand(PATH, { user: USER, foreign: ['Everyone', 'S-1-5-21-1'], isDirectory: false }),
    ).toBe(`icacls "${PATH}" /inheritance:r /remove:g "Everyone" "*S-1-5-21-1" /grant:r "${USER}:F"`);
  });

  it('lets what will be in a directory take it over', () => {
    expect(mendingCommand(PATH, { user: USER, foreign: ['Everyone'], isDirectory: true })).toContain(
      `"${USER}:(OI)(CI)F"`,
    );
  });
});

// Makes a Python with aioquic in .cache/aioquic, for test/quic/foreign-client.spec.ts. Says whether it is there.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const REQUIREMENTS = fileURLToPath(new URL('../test/quic/aioquic/requirements.txt', import.meta.url));
const FOLDER = fileURLToPath(new URL('../.cache/aioquic', import.meta.url));
/** Written last, with what was installed: a set-up that broke off, or an older one, is made anew. */
const DONE = `${FOLDER}/installed.txt`;

/** @returns {boolean} Whether the Python is there; where it is not, the reason was printed. */
export function setUpAioquic() {
  const wanted = readFileSync(REQUIREMENTS, 'utf8');
  if (existsSync(DONE) && readFileSync(DONE, 'utf8') === wanted) return true;
  rmSync(FOLDER, { recursive: true, force: true });
  const isMade =
    run('python3', ['-m', 'venv', FOLDER]) &&
    run(`${FOLDER}/bin/pip`, ['install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS]);
  if (isMade) writeFileSync(DONE, wanted);
  return isMade;
}

function run(command, args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) return true;
  const why = (error?.message ?? stderr ?? '').trim().split('\n').at(-1);
  console.error(`no aioquic, so its tests are skipped: ${command} failed (${why})`);
  return false;
}

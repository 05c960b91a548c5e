#!/usr/bin/env node
// `npm run demo`: the whole walk against a really started service, one process per party. Prints each step, and exits
// non-zero at the first one that differs from what is promised.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Party, run } from './demo/party.mjs';

/** A step that waits for what does not come has differed too. */
const STEP_TIMEOUT_MS = 30_000;

const root = mkdtempSync(join(tmpdir(), 'palyra-demo-'));
const dataDir = join(root, 'service');
const deviceDir = join(root, 'device');
const parties = [];
let number = 0;

async function step(what, act) {
  number += 1;
  process.stdout.write(`${String(number).padStart(2)}. ${what} … `);
  const late = setTimeout(STEP_TIMEOUT_MS, undefined, { ref: false }).then(() => {
    throw new Error(`it took longer than ${STEP_TIMEOUT_MS / 1000} s`);
  });
  const shown = await Promise.race([act(), late]);
  console.log(shown === undefined ? 'ok' : `ok: ${shown}`);
}

function start(args, options) {
  const party = new Party(args, options);
  parties.push(party);
  return party;
}

async function startService() {
  const doors = ['GRPC', 'QUIC', 'HTTP'].map((door) => [`PALYRA_${door}_LISTEN`, '127.0.0.1:0']);
  const environment = { PALYRA_DATA_DIR: dataDir, ...Object.fromEntries(doors) };
  const service = start(['serve'], { environment });
  const ready = await service.next((entry) => entry.event === 'ready');
  return { service, ready };
}

function openssl(...args) {
  return spawnSync('openssl', args, { encoding: 'utf8' });
}

async function walk() {
  let { service, ready } = { service: undefined, ready: undefined };
  let code = '';
  let device;
  let shown;
  let request;
  let watcher;

  const operator = async (...args) => {
    const environment = { PALYRA_DATA_DIR: dataDir, PALYRA_ENDPOINT: ready.grpc, XDG_STATE_HOME: root };
    const { lines, code: exit, stderr } = await run([...args, '--json'], { environment });
    assert.equal(exit, 0, stderr);
    return lines[0];
  };
  const asDevice = { environment: { PALYRA_DEVICE_DIR: deviceDir } };
  const health = (...more) => ['node', 'health', '--endpoint', ready.quic, '--json', ...more];

  await step('the service starts on an empty data directory', async () => {
    ({ service, ready } = await startService());
    return `gRPC ${ready.grpc}, QUIC ${ready.quic}, HTTP ${ready.http}`;
  });
  await step('it says that it is ready', async () => {
    const response = await fetch(`http://${ready.http}/readyz`);
    assert.equal(response.status, 200);
  });
  await step('the operator mints a PIN', async () => {
    const minted = await operator('pairing', 'code');
    code = minted.secretText;
    assert.match(code, /^[0-9A-HJKMNP-TV-Z]{4}-[0-9]{6}$/);
    return `code id ${minted.code.codeId}`;
  });
  await step('a device with a wrong PIN is refused and keeps nothing', async () => {
    const wrong = code.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
    const refused = await run(['pairing', 'pair', '--endpoint', ready.grpc, '--proof-stdin', '--json'], {
      ...asDevice,
      stdin: wrong,
    });
    assert.equal(refused.code, 3);
    assert.equal(existsSync(deviceDir), false);
  });
  await step('the device, knowing only address and code, proves itself', async () => {
    device = start(['pairing', 'pair', '--endpoint', ready.grpc, '--proof-stdin', '--json'], {
      ...asDevice,
      stdin: code,
    });
    shown = await device.next((line) => line.event === 'device');
    await device.next((line) => line.event === 'waiting_for_approval');
    return `it shows "${shown.words.join(' ')}"`;
  });
  await step('the operator sees the same words', async () => {
    const { requests } = await operator('pairing', 'list', '--state', 'pending_approval');
    assert.equal(requests.length, 1);
    request = requests[0];
    assert.deepEqual(request.fingerprintWords, shown.words);
    return `request ${request.requestId}`;
  });
  await step('the operator approves with ApproveNodePairingRequest', async () => {
    const approved = await operator('pairing', 'approve', request.requestId, '--reason', 'words compared');
    assert.equal(approved.request.deviceId, shown.deviceId);
    writeFileSync(join(root, 'device.pem'), approved.certificate.pem);
    return approved.certificate.subject;
  });
  await step('the device collects its certificate', async () => {
    const collected = await device.next((line) => line.event === 'certificate');
    assert.equal(await device.exit, 0);
    return collected.fingerprint;
  });
  await step('openssl accepts it as a client certificate and refuses it for a server', async () => {
    const verify = (purpose) =>
      openssl(
        'verify',
        '-x509_strict',
        '-purpose',
        purpose,
        '-CAfile',
        join(dataDir, 'ca.pem'),
        join(root, 'device.pem'),
      );
    assert.equal(verify('sslclient').status, 0, verify('sslclient').stderr);
    const refused = verify('sslserver');
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /unsuitable certificate purpose|unsupported certificate purpose/);
  });
  await step('the device opens a QUIC connection and calls node.health', async () => {
    watcher = start(health('--watch'), asDevice);
    const answer = await watcher.next();
    assert.equal(answer.ok, true);
    assert.equal(answer.node_rpc_mtls_required, true);
    return `device ${answer.result.device_id}`;
  });
  await step('the operator revokes it', async () => {
    const revoked = await operator('devices', 'revoke', shown.deviceId, '--reason', 'end of the demo');
    assert.equal(revoked.closedConnections, 1);
  });
  await step('its open connection closes', async () => {
    assert.equal(await watcher.exit, 3);
    assert.match(watcher.stderr, /REVOKED/);
  });
  await step('its next handshake is refused', refusedHandshake);
  await step('everything survives a restart', async () => {
    assert.equal(await service.stop(), 0);
    ({ service, ready } = await startService());
    const { devices } = await operator('devices', 'list');
    assert.equal(devices.length, 1);
    assert.equal(devices[0].state, 'DEVICE_STATE_REVOKED');
  });
  await step('and the device stays out', refusedHandshake);
  await step('the service ends when it is told to', async () => {
    assert.equal(await service.stop(), 0);
  });

  async function refusedHandshake() {
    const refused = await run(health(), asDevice);
    assert.equal(refused.code, 3);
    assert.deepEqual(refused.lines, []);
    assert.match(refused.stderr, /NOT_ADMITTED/);
  }
}

try {
  await walk();
  console.log('the walk is as promised');
} catch (error) {
  console.log('FAILED');
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  for (const party of parties) party.child.kill('SIGKILL');
  rmSync(root, { recursive: true, force: true });
}

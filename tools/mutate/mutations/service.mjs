import { inFile } from '../mutation.mjs';

const WHO = 'DESIGN §1, Who is calling';
const SECRETS = 'DESIGN §9.1';

const wiring = 'test/service/wiring.spec.ts';
const settings = 'src/config/settings.spec.ts';

/** How the parts are put together, and what they are set to. */
export const service = [
  ...inFile('src/app.module.ts', { rule: WHO, test: wiring, only: 'without a credential' }, [
    ['no guard stands before the handlers', '        { provide: APP_GUARD, useClass: CallerGuard },\n', ''],
  ]),
  ...inFile('src/doors.ts', { rule: WHO, test: wiring, only: 'without a credential' }, [
    [
      'the guard does not stand at the gRPC door',
      'app.connectMicroservice({ strategy: this.grpc }, { inheritAppConfig: true });',
      'app.connectMicroservice({ strategy: this.grpc });',
    ],
    [
      'revocation walks another list than the door’s',
      '          devices: app.get(DeviceConnections),\n',
      '',
      { rule: 'DESIGN §6', only: 'revoked device' },
    ],
  ]),
  ...inFile(
    'src/observability/probes.controller.ts',
    { rule: 'DESIGN §1: metrics token', test: 'test/service/service.spec.ts', only: 'shows metrics' },
    [['nobody asks for the metrics token', '    this.token.require(authorization);\n', '']],
  ),
  ...inFile('src/config/settings-description.ts', { rule: SECRETS, test: settings }, [
    [
      'config check shows secrets',
      "return setting.secret ? '(secret)' : written(setting, value);",
      'return written(setting, value);',
    ],
  ]),
  ...inFile('src/config/settings.ts', { rule: SECRETS, test: settings }, [
    [
      'a refused secret is shown',
      'if (setting.secret || value === undefined) {',
      'if (value === undefined) {',
    ],
    [
      'an unknown key in the file is let pass',
      '  reading.refuseUnknownKeys();\n',
      '',
      { rule: 'PROTOCOL, Settings' },
    ],
  ]),
];

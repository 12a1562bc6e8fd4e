import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { controlSocketPath } from '../../../src/config/control-socket.ts';
import { resolveConfig } from '../../../src/config/load.ts';

t.test('the control socket is where the configuration says, or in a directory of the user', async (t) => {
  const config = resolveConfig({ environment: { HOLDFAST_HTTP_SERVER_PORT: '9000' } }, undefined);
  t.equal(
    controlSocketPath(config, { XDG_RUNTIME_DIR: '/run/user/7' }),
    '/run/user/7/holdfast/holdfast-9000.sock',
  );
  t.equal(controlSocketPath(config, {}), join(tmpdir(), `holdfast-${userInfo().uid}`, 'holdfast-9000.sock'));
  t.equal(controlSocketPath({ ...config, control: { socket: '/run/x.sock' } }, {}), '/run/x.sock');
});

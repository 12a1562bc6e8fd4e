import t from 'tap';
import { resolveConfig } from '../../../src/config/load.ts';
import { snapshotFile } from '../../../src/config/snapshot-file.ts';

t.test('history is kept where the configuration or systemd says, or nowhere', async (t) => {
  const environment = { HOLDFAST_HTTP_SERVER_PORT: '9000' };
  const config = resolveConfig({ environment }, undefined);
  t.equal(snapshotFile(config, {}), undefined);
  t.equal(snapshotFile(config, { STATE_DIRECTORY: '' }), undefined);
  t.equal(
    snapshotFile(config, { STATE_DIRECTORY: '/var/lib/a:/var/lib/b' }),
    '/var/lib/a/history-9000.snapshot',
  );
  const named = resolveConfig(
    { environment: { ...environment, HOLDFAST_ENGINE_MEMORY_SNAPSHOT_FILE: '/srv/h' } },
    undefined,
  );
  t.equal(snapshotFile(named, { STATE_DIRECTORY: '/var/lib/a' }), '/srv/h');
});

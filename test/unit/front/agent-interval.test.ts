// How often HAProxy asks is what a drain waits for before it closes anybody.
import t from 'tap';
import { cliRun } from '../../helpers/cli-run.ts';

t.test('HAProxy asks as often as the configuration says', async (t) => {
  for (const [interval, written] of [
    ['1s', '1s'],
    ['1m30s', '90s'],
    ['1500ms', '1500ms'],
  ] as const) {
    const environment = { HOLDFAST_AGENT_CHECK_ENABLED: 'true', HOLDFAST_AGENT_CHECK_INTERVAL: interval };
    const { code, out, err } = await cliRun(['haproxy', '10.0.0.1'], { environment });
    t.equal(code, 0, err);
    t.match(out, ` agent-inter ${written} `);
  }
});

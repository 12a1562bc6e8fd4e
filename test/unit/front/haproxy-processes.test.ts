import t from 'tap';
import { parseProcesses } from '../../../src/front/master-socket.ts';

const HEAD = '#<PID>          <type>          <reloads>       <uptime>        <version>\n';

t.test('processes as the master lists them', async (t) => {
  const answer = `${HEAD}1729            master          3 [failed: 1]   0d00h00m31s     2.6.12-1+deb12u4
# workers
2260            worker          0               0d00h00m01s     2.6.12-1+deb12u4
# old workers
2048            worker          1               0d00h00m20s     2.6.12-1+deb12u4
1743            worker          3               0d00h00m30s     2.6.12-1+deb12u4
# programs
77              dataplane-api   0               0d00h00m30s     -
`;
  t.same(parseProcesses(answer), { master: 1729, reloads: 3, failed: 1, workers: [2260], old: [2048, 1743] });
  const young = `${HEAD}32168  master  0 [failed: 0]  0d00h00m05s  2.6\n# workers\n32171  worker  0  0d0h  2.6\n# programs\n`;
  t.same(parseProcesses(young), { master: 32_168, reloads: 0, failed: 0, workers: [32_171], old: [] });
  t.match(parseProcesses('9  master  0  0d0h  2.4\n# workers\n'), { failed: 0, workers: [] });
});

t.test('what is no list of processes', async (t) => {
  for (const answer of ['', 'Unknown command', '{"error":"no such method"}', '5 worker 0']) {
    t.equal(parseProcesses(answer), undefined, answer);
  }
});

// Which port an internal port of 0 became was said nowhere.
import t from 'tap';
import { startGateway } from '../helpers/gateway.ts';

t.test('every bound address is in the log and in the status', async (t) => {
  const gateway = await startGateway(t, {
    config: { http_server: { internal_port: 0, internal_address: '127.0.0.1' } },
  });
  const [line] = gateway.logged('listening');
  const { listening, internal, control } = { listening: [], internal: [], control: '', ...line };
  t.same(listening, [`127.0.0.1:${gateway.port}`]);
  t.match(internal, [/^127\.0\.0\.1:[1-9]\d*$/]);
  t.equal(control, gateway.controlSocket);
  const page = await fetch(`http://${internal[0]}/metrics`);
  t.equal(page.status, 200);
  t.match(await page.text(), 'holdfast_');
  const status = await gateway.command(t, 'status');
  t.match(status.output, `internal     ${internal[0]}\n`);
});

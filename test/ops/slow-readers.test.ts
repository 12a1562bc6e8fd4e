// A client that does not read, behind a real HAProxy: what it buffers comes on top, and the gateway notices all the same.
import t from 'tap';
import { proxiedPlace, SLOW_CONFIG, slowReaderScenario } from '../helpers/transport-scenarios.ts';

const place = await proxiedPlace(t, SLOW_CONFIG);
for (const kind of ['websocket', 'http_stream'] as const) {
  t.test(kind, async (t) => slowReaderScenario(t, place, kind));
}

// A client that does not read, by every transport, against the program with two workers.
import t from 'tap';
import { directPlace, LISTENING, SLOW_CONFIG, slowReaderScenario } from '../helpers/transport-scenarios.ts';

const place = await directPlace(t, SLOW_CONFIG);
for (const kind of ['websocket', 'http_stream', 'sse', ...LISTENING] as const) {
  t.test(kind, async (t) => slowReaderScenario(t, place, kind));
}

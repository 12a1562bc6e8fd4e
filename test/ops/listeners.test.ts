// Clients that only listen, by every transport, through a real HAProxy with TLS.
import t from 'tap';
import { LISTENING, listeningScenarios, proxiedPlace } from '../helpers/transport-scenarios.ts';

const place = await proxiedPlace(t);
for (const kind of LISTENING) t.test(kind, async (t) => listeningScenarios(t, place, kind));

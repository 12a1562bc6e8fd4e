// Clients that only listen, by every transport, against the program with two workers.
import t from 'tap';
import { directPlace, LISTENING, listeningScenarios } from '../helpers/transport-scenarios.ts';

const place = await directPlace(t);
for (const kind of LISTENING) t.test(kind, async (t) => listeningScenarios(t, place, kind));

// The official client by every transport against the program with two workers.
import t from 'tap';
import { bidirectionalScenarios, directPlace } from '../helpers/transport-scenarios.ts';
import { nameOf, WAYS_IN } from '../helpers/ways-in.ts';

const place = await directPlace(t);
for (const way of WAYS_IN) t.test(nameOf(way), async (t) => bidirectionalScenarios(t, place, way));

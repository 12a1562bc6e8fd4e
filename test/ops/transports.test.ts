// The official client by every transport through a real HAProxy with TLS: the same scenarios as without it.
import t from 'tap';
import { bidirectionalScenarios, proxiedPlace } from '../helpers/transport-scenarios.ts';
import { nameOf, WAYS_IN } from '../helpers/ways-in.ts';

const place = await proxiedPlace(t);
for (const way of WAYS_IN) t.test(nameOf(way), async (t) => bidirectionalScenarios(t, place, way));

// The embedded engine passes the contract suites.
import t from 'tap';
import { brokerContract } from './broker-contract.ts';
import { startMemoryEngine } from './memory-engine.ts';
import { nodeBusContract } from './node-bus-contract.ts';
import { presenceContract } from './presence-contract.ts';

brokerContract(t, 'memory', startMemoryEngine);
presenceContract(t, 'memory', startMemoryEngine);
nodeBusContract(t, 'memory', startMemoryEngine);

// The Redis engine passes the contract suites.
import t from 'tap';
import { brokerContract } from './broker-contract.ts';
import { nodeBusContract } from './node-bus-contract.ts';
import { presenceContract } from './presence-contract.ts';
import { startRedisEngine } from './redis-engine.ts';

brokerContract(t, 'redis', startRedisEngine);
presenceContract(t, 'redis', startRedisEngine);
nodeBusContract(t, 'redis', startRedisEngine);

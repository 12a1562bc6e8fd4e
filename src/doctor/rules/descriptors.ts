// Rules about file descriptors: of the gateway, of HAProxy, of the machine.
import { connectionsAllowed } from '../../cluster/descriptors.ts';
import { fault, fine, type Rule, rule } from '../finding.ts';
import { globalSetting } from '../read/haproxy-config.ts';
import { unitLimit, unitSetting } from '../read/unit-file.ts';

/** What the shipped units ask for. */
const USUAL_LIMIT = 262_144;
/** What a process has open beside its connections. */
const OWN_DESCRIPTORS = 200;

const gatewayDescriptors = rule(
  'descriptors',
  ['config', 'descriptors', 'plan'],
  ({ config, descriptors, plan }) => {
    const allowed = connectionsAllowed({ soft: descriptors.hard, hard: descriptors.hard }, config.workers);
    const what =
      `${descriptors.hard} descriptors a process (${descriptors.of}) allow ${allowed} connections in ` +
      `${config.workers} workers; ${plan.source} wants ${plan.connections}`;
    if (plan.connections <= allowed) return fine(what);
    const needed = Math.ceil(plan.connections / config.workers) + OWN_DESCRIPTORS;
    return fault('critical', what, {
      why: 'beyond the limit a worker can accept nobody, and HAProxy sees errors instead of refusals',
      change: `LimitNOFILE=${Math.max(USUAL_LIMIT, needed)} under [Service] of the unit (or more workers)`,
    });
  },
);

const smallLimit = rule('descriptors-usual', ['config', 'descriptors'], ({ descriptors }) => {
  const what = `${descriptors.hard} descriptors a process (${descriptors.of})`;
  if (descriptors.hard >= 65_536) return fine(what);
  return fault('warning', what, {
    why: 'a storm of reconnects, or a second host that takes over the clients of this one, meets this limit first',
    change: `LimitNOFILE=${USUAL_LIMIT} under [Service] of the unit`,
  });
});

const processCap = rule(
  'descriptors-cap',
  ['unit', 'descriptorsPerProcess'],
  ({ unit, descriptorsPerProcess }) => {
    const asked = unitLimit(unitSetting(unit, 'LimitNOFILE') ?? '');
    const what = `fs.nr_open is ${descriptorsPerProcess}`;
    if (asked === undefined || asked === Infinity || asked <= descriptorsPerProcess) return fine(what);
    return fault('critical', `${what}, ${unit.name} asks for ${asked}`, {
      why: 'systemd cannot give more than fs.nr_open: the service does not start',
      change: `fs.nr_open = ${asked} in /etc/sysctl.d/90-holdfast.conf`,
    });
  },
);

const machineDescriptors = rule(
  'descriptors-machine',
  ['descriptorsOfMachine', 'plan'],
  ({ descriptorsOfMachine, plan }) => {
    // HAProxy on the same machine holds two for each connection, the worker one.
    const needed = plan.connections * 3;
    const what = `fs.file-max is ${descriptorsOfMachine}; ${plan.connections} connections take up to ${needed}`;
    if (needed <= descriptorsOfMachine) return fine(what);
    return fault('critical', what, {
      why: 'no process of this machine can open a file once it is reached',
      change: `fs.file-max = ${needed * 2} in /etc/sysctl.d/90-holdfast.conf`,
    });
  },
);

const haproxyDescriptors = rule(
  'haproxy-descriptors',
  ['haproxy', 'haproxyUnit', 'descriptorsPerProcess'],
  ({ haproxy, haproxyUnit, descriptorsPerProcess }) => {
    const maxconn = Number(globalSetting(haproxy, 'maxconn')?.words[1]);
    if (!(maxconn > 0)) return fine('global maxconn is not set: HAProxy derives it from its limit');
    const needed = maxconn * 2 + OWN_DESCRIPTORS;
    // Without a line systemd's own default holds: 524288 as hard limit, no more than fs.nr_open.
    const given = unitLimit(unitSetting(haproxyUnit, 'LimitNOFILE') ?? '') ?? 524_288;
    const limit = Math.min(given, descriptorsPerProcess);
    const what = `HAProxy needs ${needed} descriptors for maxconn ${maxconn}; its unit gives ${limit}`;
    if (needed <= limit) return fine(what);
    return fault('critical', what, {
      why: '`haproxy -c` calls the file valid, and the next start dies with "Cannot raise FD limit"',
      change: `LimitNOFILE=${needed} under [Service] in /etc/systemd/system/haproxy.service.d/holdfast.conf`,
    });
  },
);

export const descriptorRules: readonly Rule[] = [
  gatewayDescriptors,
  smallLimit,
  processCap,
  machineDescriptors,
  haproxyDescriptors,
];

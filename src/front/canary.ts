// How one request is pinned to one of a blue/green pair, which may get nobody else yet: `holdfast deploy` proves it that way.
// Only for whom the file names: anybody else's header is dropped, and nobody else is told who answered.
import type { FrontHost, FrontServer } from './front-options.ts';

/** Asks for a server of the pair by its name, and names the one that answered. */
export const SERVER_HEADER = 'X-Holdfast-Server';

function pairedServers(hosts: readonly FrontHost[]): readonly FrontServer[] {
  return hosts.filter(({ servers }) => servers.length > 1).flatMap(({ servers }) => servers);
}

/** Of the frontend for clients; empty where there is no pair. */
export function canaryFrontLines(hosts: readonly FrontHost[], from: readonly string[]): readonly string[] {
  if (pairedServers(hosts).length === 0) return [];
  return [
    `# The canary of \`holdfast deploy\`: from these addresses, ${SERVER_HEADER} pins a request to one of a pair, and the answer`,
    '# names the server that gave it.',
    `acl canary src ${from.join(' ')}`,
    `http-request del-header ${SERVER_HEADER} unless canary`,
    `http-request set-var(txn.canary) req.hdr(${SERVER_HEADER})`,
    `http-response set-header ${SERVER_HEADER} %[srv_name] if { var(txn.canary) -m found }`,
    '',
  ];
}

/** Of the backend: also a server that is drained is found that way, one that is down is not. */
export function canaryServerLines(hosts: readonly FrontHost[]): readonly string[] {
  return pairedServers(hosts).map(
    ({ name }) => `use-server ${name} if { req.hdr(${SERVER_HEADER}) -m str ${name} }`,
  );
}

// Rules about the time-outs of HAProxy against those of the gateway.
import type { Config } from '../../config/schema.ts';
import { formatDuration } from '../../config/duration.ts';
import { fault, fine, type Rule, rule, type Verdict } from '../finding.ts';
import {
  fronts,
  globalSetting,
  type HaproxyConfig,
  type HaproxySection,
  haproxySetting,
  haproxyTimeMs,
} from '../read/haproxy-config.ts';

/** Beyond this a time-out frees nothing any more in practice. */
const TOO_LONG_MS = 3_600_000;
const LEAST_HARD_STOP_MS = 300_000;

/** One verdict for each section of HAProxy that clients reach. */
function eachFront(haproxy: HaproxyConfig, judge: (front: HaproxySection) => Verdict): Verdict | Verdict[] {
  const found = fronts(haproxy);
  return found.length === 0 ? fine('HAProxy passes nobody on') : found.map(judge);
}

function timeMs(section: HaproxySection, name: string): number | undefined {
  const word = haproxySetting(section, 'timeout', name)?.words[2];
  return word === undefined ? undefined : haproxyTimeMs(word);
}

/** Where to write it: the line that holds, or the defaults. */
function place(haproxy: HaproxyConfig, section: HaproxySection, name: string): string {
  const line = haproxySetting(section, 'timeout', name);
  return line === undefined
    ? `in \`defaults\` of ${haproxy.file}`
    : `on line ${line.number} of ${haproxy.file}`;
}

function recommendedTunnel(config: Config): string {
  return formatDuration(config.client.ping_interval * 3);
}

const tunnel = rule('tunnel-timeout', ['haproxy', 'config'], ({ haproxy, config }) => {
  const { ping_interval: pingMs, pong_timeout: pongMs } = config.client;
  return eachFront(haproxy, (front) => {
    const tunnelMs = timeMs(front, 'tunnel');
    // Without one, client and server time-outs go on to hold after the upgrade.
    const effectiveMs =
      tunnelMs ?? Math.min(timeMs(front, 'client') ?? Infinity, timeMs(front, 'server') ?? Infinity);
    const named =
      tunnelMs === undefined ? 'no timeout tunnel, so client and server time-outs hold:' : 'timeout tunnel';
    const what = `${front.kind} ${front.name}: ${named} ${formatDuration(effectiveMs)}, pings every ${formatDuration(pingMs)}`;
    const change = `timeout tunnel ${recommendedTunnel(config)} ${place(haproxy, front, 'tunnel')}`;
    if (effectiveMs <= pingMs) {
      return fault('critical', what, {
        why: 'HAProxy cuts every quiet websocket before its next ping',
        change,
      });
    }
    if (effectiveMs < pingMs * 2 + pongMs) {
      return fault('warning', what, {
        why: 'one ping that comes late, and HAProxy cuts a living websocket',
        change,
      });
    }
    if (effectiveMs > TOO_LONG_MS) {
      return fault('warning', what, {
        why: 'what the gateway forgot stays in HAProxy for so long, with its descriptors and memory',
        change,
      });
    }
    return fine(what);
  });
});

const handshake = rule('client-timeout', ['haproxy'], ({ haproxy }) =>
  eachFront(haproxy, (front) => {
    const clientMs = timeMs(front, 'client');
    const hasOwn = timeMs(front, 'client-hs') !== undefined;
    const what = `${front.kind} ${front.name}: timeout client ${clientMs === undefined ? 'is not set' : formatDuration(clientMs)}`;
    if (clientMs !== undefined && (clientMs <= 60_000 || hasOwn)) return fine(what);
    return fault('warning', what, {
      why: 'before HAProxy 2.9 it is the only limit on a TLS handshake: stalled ones pile up. Websockets need no more, they have `timeout tunnel`',
      change: `timeout client 30s ${place(haproxy, front, 'client')}`,
    });
  }),
);

const slowHeaders = rule('http-request-timeout', ['haproxy'], ({ haproxy }) =>
  eachFront(haproxy, (front) => {
    const requestMs = timeMs(front, 'http-request');
    if (requestMs !== undefined && requestMs <= 60_000) {
      return fine(`${front.kind} ${front.name}: timeout http-request ${formatDuration(requestMs)}`);
    }
    return fault('warning', `${front.kind} ${front.name}: no timeout http-request of at most a minute`, {
      why: 'senders that trickle a request hold connections as long as they like',
      change: `timeout http-request 5s ${place(haproxy, front, 'http-request')}`,
    });
  }),
);

const halfClosed = rule('half-closed', ['haproxy'], ({ haproxy }) =>
  eachFront(haproxy, (front) => {
    if (timeMs(front, 'client-fin') !== undefined)
      return fine(`${front.kind} ${front.name}: timeout client-fin is set`);
    return fault('warning', `${front.kind} ${front.name}: no timeout client-fin`, {
      why: 'websockets that their client has half closed stay until `timeout tunnel`',
      change: `timeout client-fin 10s ${place(haproxy, front, 'client-fin')}, and timeout server-fin 10s`,
    });
  }),
);

const hardStop = rule('hard-stop-after', ['haproxy'], ({ haproxy }) => {
  const word = globalSetting(haproxy, 'hard-stop-after')?.words[1];
  const afterMs = word === undefined ? undefined : haproxyTimeMs(word);
  const change = `hard-stop-after 30m in \`global\` of ${haproxy.file}`;
  if (afterMs === undefined) {
    return fault('warning', 'no hard-stop-after', {
      why: 'each reload of HAProxy leaves an old process with its websockets and its memory, for ever',
      change,
    });
  }
  const what = `hard-stop-after ${formatDuration(afterMs)}`;
  if (afterMs >= LEAST_HARD_STOP_MS) return fine(what);
  return fault('warning', what, {
    why: 'so long after a reload of HAProxy every websocket that is left is cut in the same millisecond: a reconnect storm',
    change,
  });
});

export const frontTimeRules: readonly Rule[] = [tunnel, handshake, slowHeaders, halfClosed, hardStop];

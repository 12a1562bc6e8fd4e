// Time-outs in front that follow from how often the gateway pings, in whole seconds. The doctor compares with the same.
import type { Config } from '../config/schema.ts';

export interface FrontTimeouts {
  readonly pingS: number;
  /** `timeout client` and `timeout server`: an HTTP stream must live from one ping to the next. */
  readonly idleS: number;
  /** `timeout tunnel`: three pings. */
  readonly tunnelS: number;
  /** `tcp-ut`: longer than the gateway needs to find a dead client itself. */
  readonly tcpUserS: number;
}

const MIN_IDLE_S = 30;
const PING_GRACE_S = 5;

export function frontTimeouts({ client }: Pick<Config, 'client'>): FrontTimeouts {
  const pingS = Math.ceil(client.ping_interval / 1000);
  return {
    pingS,
    idleS: Math.max(MIN_IDLE_S, pingS + PING_GRACE_S),
    tunnelS: 3 * pingS,
    tcpUserS: Math.ceil(((client.ping_interval + client.pong_timeout) * 1.2) / 1000),
  };
}

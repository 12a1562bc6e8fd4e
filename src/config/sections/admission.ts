// Who is let in when more want in than the host can take, and what goes when it has too much already.
import { isIP } from 'node:net';
import { duration, integer, section, textList } from '../fields.ts';

function isNetwork(text: string): boolean {
  if (text === 'unix') return true;
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  if (bits === undefined) return true;
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
}

export const admission = section('Storms: who is let in how fast, and what goes under overload.', {
  accept_rate: integer(
    'New connections a second that this host lets in; who comes on top waits, those first that come back. 0: as many as ' +
      'its workers are measured to take without being late.',
    0,
    0,
    1_000_000,
  ),
  queue_time: duration(
    'How long a new connection may wait for its turn. One that would wait longer gets HTTP 503 with `Retry-After` at once.',
    '10s',
    0,
    60_000,
  ),
  max_queued: integer('New connections that may wait for their turn (HTTP 503).', 16_384, 0, 1_000_000),
  verification_rate: integer(
    'Tokens a second whose signature this host verifies; those verified lately cost nothing. Who comes on top waits up to ' +
      '2 s, then gets the temporary error 100 and comes back by itself. 0: as many as its workers are measured to verify ' +
      'without being late.',
    0,
    0,
    1_000_000,
  ),
  address_rate: integer(
    'New connections a second from one client address (HTTP 429). Offices and mobile carriers share addresses: be ' +
      'generous. 0: no limit.',
    0,
    0,
    1_000_000,
  ),
  address_burst: integer(
    'New connections that one client address may open at once on top of that rate.',
    100,
    1,
    1_000_000,
  ),
  trusted_proxies: textList(
    'Addresses or networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is believed; `unix` for one that comes by UNIX ' +
      'socket. Of anybody else the header is ignored. It also says the address in logs and in `connections`.',
    [],
    isNetwork,
    'expected an address, a network such as 10.0.0.0/8, or unix',
  ),
  max_loop_lag: duration(
    'A worker whose event loop is as late as this, turn after turn, takes nobody new until it has caught up. 0s: off.',
    '1s',
  ),
  max_memory: integer(
    'Bytes of heap and buffers of one worker. Beyond nine tenths of it it takes nobody new, beyond all of it the connections ' +
      'that read least are closed (3008). 0: three quarters of its share of the memory there is, by machine or control group, ' +
      'and 85 % of the heap limit of Node in any case.',
    0,
  ),
});

// What a new connection must know of its server: that it is a master which has its data, and which start of it this is.
import { UnavailableError } from '../../util/errors.ts';
import type { Link } from './link.ts';
import { RedisReplyError } from './redis-error.ts';

/** Resolves to the run id, '' when INFO is not permitted; rejects when the server takes no writes. */
export async function checkServer(link: Link): Promise<string> {
  let info: string;
  try {
    info = String(await link.callAnyway('INFO', ['server', 'replication', 'persistence']));
  } catch (error) {
    if (error instanceof RedisReplyError && error.kind === 'NOPERM') return '';
    throw error;
  }
  if (field(info, 'loading') === '1') throw new UnavailableError('Redis is loading its data');
  const role = field(info, 'role');
  if (role !== 'master') throw new UnavailableError(`this Redis is no master but a ${role}`);
  return field(info, 'run_id');
}

function field(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
}

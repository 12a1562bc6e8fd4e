// Whether a process of this host is still there.
import { hasCode } from './errors.ts';

/** Also of another user. */
export function processLives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

// TLS ticket keys of HAProxy: three lines in a file. The last three decrypt, the last but one encrypts, so a key is known everywhere
// one rotation before it is used, and for one after it.
import { randomBytes } from 'node:crypto';
import { chown, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { ConfigError, UnavailableError, hasCode } from '../util/errors.ts';
import type { MasterSocket } from './master-socket.ts';

const KEYS = 3;
/** For AES-256: a name of 16 bytes, 32 for HMAC and 32 for AES. */
const KEY_BYTES = 80;
/** With the shorter form HAProxy uses AES-128. All keys of a file are of one length. */
const SHORT_KEY_BYTES = 48;

function newKey(bytes = KEY_BYTES): string {
  return randomBytes(bytes).toString('base64');
}

/** `origin` says in errors where the text is from; a key is never named. */
export function parseTicketKeys(text: string, origin: string): readonly string[] {
  const keys = text.split('\n').filter((line) => line.trim() !== '');
  const lengths = new Set(keys.map((key) => Buffer.from(key, 'base64').length));
  const [length] = lengths;
  if (keys.length < KEYS || lengths.size !== 1 || (length !== KEY_BYTES && length !== SHORT_KEY_BYTES)) {
    throw new ConfigError(
      `${origin} holds no TLS ticket keys: expected at least ${KEYS} lines, each ${KEY_BYTES} (or each ${SHORT_KEY_BYTES}) random bytes in base64`,
    );
  }
  return keys.slice(-KEYS);
}

/** A new key comes last, the oldest goes; without any, all are new. */
export function rotated(keys: readonly string[]): readonly string[] {
  const [first] = keys;
  const bytes = first === undefined ? KEY_BYTES : Buffer.from(first, 'base64').length;
  const kept = keys.slice(1 - KEYS);
  return [...kept, ...Array.from({ length: KEYS - kept.length }, () => newKey(bytes))];
}

/** Undefined when there is no such file. */
export async function readTicketKeys(path: string): Promise<readonly string[] | undefined> {
  try {
    return parseTicketKeys(await readFile(path, 'utf8'), path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** All of it or nothing, readable by its owner only; a file that is there keeps owner and group. */
export async function writeTicketKeys(path: string, keys: readonly string[]): Promise<void> {
  const before = await stat(path).catch(() => undefined);
  const beside = `${path}.${process.pid}.new`;
  try {
    const file = await open(beside, 'wx', 0o600);
    try {
      await file.writeFile(`${keys.join('\n')}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    if (before !== undefined && (before.uid !== process.getuid?.() || before.gid !== process.getgid?.())) {
      await chown(beside, before.uid, before.gid);
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/** Teaches a running process the keys that it does not have, in their order; resolves to how many that were. */
export async function teachTicketKeys(
  master: MasterSocket,
  pid: number,
  path: string,
  keys: readonly string[],
): Promise<number> {
  const list = (await master.askProcess(pid, 'show tls-keys')) ?? '';
  const id = ticketFileId(list, path);
  if (id === undefined) {
    const known = [...list.matchAll(/^\d+ \((.+)\)$/gm)].map(([, file]) => file).join(', ');
    throw new UnavailableError(
      `HAProxy does not use ${path}: a bind of it needs \`tls-ticket-keys ${path}\` (it uses ${known === '' ? 'no file' : known})`,
    );
  }
  const answer = (await master.askProcess(pid, `show tls-keys #${id}`)) ?? '';
  const known = new Set([...answer.matchAll(/^\d+\.\d+ (\S+)$/gm)].map(([, key]) => key));
  const unknown = keys.filter((key) => !known.has(key));
  for (const key of unknown) {
    const said = await master.askProcess(pid, `set ssl tls-key #${id} ${key}`);
    if (said === undefined || !/updated/i.test(said)) {
      throw new UnavailableError(`HAProxy does not take a new ticket key: ${said ?? 'it has ended'}`);
    }
  }
  return unknown.length;
}

function ticketFileId(list: string, path: string): string | undefined {
  return [...list.matchAll(/^(\d+) \((.+)\)$/gm)].find(([, , file]) => file === path)?.[1];
}

// Loads an application's module and checks that it is one.
import { access } from 'node:fs/promises';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '../../util/errors.ts';
import { type Fields, isFields } from '../../util/fields.ts';
import type { App } from './handlers.ts';

const FUNCTIONS = [
  'start',
  'stop',
  'connect',
  'refresh',
  'subscribe',
  'publish',
  'subRefresh',
  'message',
  'disconnect',
  'unsubscribe',
  'channelOccupied',
  'channelVacated',
] as const satisfies readonly Exclude<keyof App, 'rpc'>[];

/** Names that a module may define. */
export const HANDLERS: readonly (keyof App)[] = [...FUNCTIONS, 'rpc'];

const TYPESCRIPT = ['.ts', '.mts', '.cts'];

/** Throws ConfigError. */
export async function loadApp(path: string): Promise<App> {
  const fail = (reason: string, cause?: unknown): ConfigError =>
    new ConfigError(`app.module: ${path}: ${reason}`, { cause });
  try {
    await access(path);
  } catch (error) {
    throw fail('no such file', error);
  }
  if (TYPESCRIPT.includes(extname(path)) && !stripsTypes()) {
    throw fail(
      `is TypeScript, which Node ${process.versions.node} does not run: compile it to JavaScript, or use Node 22.18 or newer`,
    );
  }
  let loaded: unknown;
  try {
    loaded = await import(pathToFileURL(path).href);
  } catch (error) {
    throw fail(error instanceof Error ? `${error.name}: ${error.message}` : String(error), error);
  }
  const app = defaultOf(loaded);
  if (!isFields(app)) throw fail('has no default export: `export default defineApp({ … })`');
  const fault = faultOf(app);
  if (fault !== undefined) throw fail(fault);
  return app;
}

/** A module compiled to CommonJS has its default one level deeper. */
function defaultOf(value: unknown): unknown {
  if (!isFields(value)) return undefined;
  const inner = value['default'];
  return isFields(inner) && 'default' in inner ? defaultOf(inner) : inner;
}

function faultOf(app: Fields): string | undefined {
  const names: readonly string[] = FUNCTIONS;
  for (const [name, value] of Object.entries(app)) {
    if (value === undefined) continue;
    if (name === 'rpc' ? !isRpc(value) : names.includes(name) && typeof value !== 'function') {
      return `${name}: expected a function${name === 'rpc' ? ', or an object with a function for each method' : ''}`;
    }
    if (name !== 'rpc' && !names.includes(name)) {
      return `${name}: is no handler; there are ${HANDLERS.join(', ')}`;
    }
  }
  return undefined;
}

function isRpc(value: unknown): boolean {
  return (
    typeof value === 'function' ||
    (isFields(value) && Object.values(value).every((handler) => typeof handler === 'function'))
  );
}

/** Node 22.18 and 23.6 and later; the types of Node 20 do not know it. */
function stripsTypes(): boolean {
  return 'typescript' in process.features && Boolean(process.features.typescript);
}

// `holdfast/app`: what application code imports. The one file that only hands on what others define, because it is the
// face of the package.
import type { App } from './handlers.ts';

export { AppError, Disconnect, GatewayError } from './app-errors.ts';
export { rawJson } from './app-data.ts';
export type { Data, RawJson, Received } from './app-data.ts';
export type * from './gateway.ts';
export type * from './handlers.ts';

/** Returns its argument: it is there for the types. `export default defineApp({ connect() { … } })`. */
export function defineApp(app: App): App {
  return app;
}

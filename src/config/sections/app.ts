// Code of the application that workers load.
import { duration, section, text, texts } from '../fields.ts';

export const app = section('A module with application code that every worker loads (docs/app.md).', {
  module: text(
    'Path of the JavaScript or TypeScript file, relative to the configuration file. Empty: none. ' +
      'It is asked about everything that no webhook answers.',
  ),
  timeout: duration('How long a handler may take; then the client gets error 100.', '5s', 1),
  http_headers: texts("Headers of the client's request that handlers see."),
  emulated_headers: texts('Headers from the connect command that handlers see; clients can forge them.'),
});

// Which HTTP endpoints of the application are asked about what clients do.
import { z } from 'zod';
import { duration, flag, headers, httpUrl, section, text, texts } from '../fields.ts';

const described = (description: string) => ({ description });

const statusTransform = z.strictObject({
  status_code: z.int().min(100).max(599).meta(described('Status of the answer.')),
  to_error: z
    .strictObject({
      code: z.int().min(400).max(1999).meta(described('Code of the error.')),
      message: z.string().meta(described('Message of the error.')),
      temporary: flag('The client may try again.'),
    })
    .optional()
    .meta(described('The error that the client gets.')),
  to_disconnect: z
    .strictObject({
      code: z.int().min(4000).max(4999).meta(described('Close code: below 4500 the client comes back.')),
      reason: z.string().meta(described('Close reason.')),
    })
    .optional()
    .meta(described('The close that the client gets.')),
});

const target = {
  endpoint: httpUrl('Address that is called with POST and a JSON body.'),
  timeout: duration('How long an answer may take.', '1s', 1),
  http_headers: texts("Headers of the client's request that are passed on."),
  emulated_headers: texts('Headers from the connect command that are passed on; clients can forge them.'),
  include_connection_meta: flag('Send the `meta` that the connection was given.'),
  binary_encoding: flag('Send payloads as base64 (`b64data`), for payloads that are not JSON.'),
  http: section('Particulars of HTTP.', {
    static_headers: headers('Headers added to every call; the other kinds win.'),
    status_to_code_transforms: z
      .array(statusTransform)
      .prefault([])
      .meta({ description: 'Turns a status other than 200 into an error or a disconnect for the client.' }),
  }),
};

const switched = (about: string) => section(about, { enabled: flag('Ask this endpoint.'), ...target });
const endpoint = (about: string) => section(about, target);

export const clientProxy = section('Endpoints that are asked about connections.', {
  connect: switched('Asked when a client connects without a token.'),
  refresh: switched("Asked when a connection's time is up."),
});

export const channelProxy = section(
  'Endpoints named `default` for channels; namespaces switch them on with `*_proxy_enabled`.',
  {
    subscribe: endpoint('Asked when a client subscribes.'),
    publish: endpoint('Asked before a client publishes.'),
    sub_refresh: endpoint("Asked when a subscription's time is up."),
  },
);

export const proxies = z
  .array(z.strictObject({ name: namePattern('Name for `*_proxy_name`.'), ...target }))
  .prefault([])
  .meta({ description: 'More endpoints, chosen by name in channel and RPC namespaces.' });

const rpcSwitches = {
  proxy_enabled: flag('Ask the endpoint about these methods.'),
  proxy_name: text('Which endpoint: `default` is `rpc.proxy`, others come from `proxies`.', 'default'),
};

export const rpc = section('Calls of clients to the application.', {
  proxy: endpoint('The endpoint named `default` for RPC.'),
  namespace_boundary: text('Ends the namespace in the name of a method.', ':'),
  without_namespace: section('Methods without a namespace.', rpcSwitches),
  namespaces: z
    .array(z.strictObject({ name: namePattern('Text before the boundary.'), ...rpcSwitches }))
    .prefault([])
    .meta({ description: 'Methods by namespace.' }),
});

export function namePattern(about: string) {
  return z
    .string()
    .regex(/^[-a-zA-Z0-9_.]{2,}$/, { error: 'expected at least two of letters, digits, "-", "_" and "."' })
    .meta({ description: about });
}

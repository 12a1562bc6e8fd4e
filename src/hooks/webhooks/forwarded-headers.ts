// Which headers a call to the application carries: static ones, then those that the client wrote into its connect
// command, then those of its request; the last one wins.
import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { Subject } from '../application.ts';
import type { EndpointSettings } from './settings.ts';

/** They belong to one connection, or to the body: those of the client say nothing about this call. */
const OWN_TO_THE_CALL: ReadonlySet<string> = new Set([
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export function callHeaders(
  subject: Subject,
  settings: Pick<EndpointSettings, 'httpHeaders' | 'emulatedHeaders' | 'staticHeaders'>,
  own: Readonly<Record<string, string>>,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(settings.staticHeaders)) add(headers, name.toLowerCase(), value);
  for (const [name, value] of Object.entries(subject.emulatedHeaders)) {
    const lowerCase = name.toLowerCase();
    if (settings.emulatedHeaders.includes(lowerCase)) add(headers, lowerCase, value);
  }
  for (const name of settings.httpHeaders) add(headers, name, subject.headers[name]);
  return Object.assign(headers, own);
}

function add(headers: Record<string, string>, name: string, value: string | undefined): void {
  if (value === undefined || OWN_TO_THE_CALL.has(name) || !isValid(name, value)) return;
  headers[name] = value;
}

/** What a client wrote may hold line breaks or characters that no header can. */
function isValid(name: string, value: string): boolean {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return true;
  } catch {
    return false;
  }
}

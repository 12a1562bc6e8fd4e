// Request URLs without the secrets that clients put into their query.

const SECRET_PARAMETER = /([?&](?:token|api_key|key|session|secret|password|cf_connect|connect)=)[^&#]*/giu;

/** The same URL with the values of secret query parameters cut out; anything but a string passes unchanged. */
export function redactUrl(url: unknown): unknown {
  return typeof url === 'string' ? url.replace(SECRET_PARAMETER, '$1[redacted]') : url;
}

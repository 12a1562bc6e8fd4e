// Proves to the application that events are ours and fresh: `X-Holdfast-Signature: t=<Unix seconds>,v1=<hex HMAC-SHA256 of
// "t.body">`.
import { createHmac } from 'node:crypto';

export function signature(secret: string, body: string, unixMs: number): string {
  const seconds = Math.floor(unixMs / 1000);
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`;
}

// Why a webhook has no answer. Clients only ever see error 100; the fault is for the log and the metrics.
import { UnavailableError } from '../util/errors.ts';

export type CallFault =
  | 'timeout'
  | 'network'
  /** An HTTP status that is no answer. */
  | 'status'
  /** Status 200 with something that is not what the event asks for. */
  | 'answer'
  | 'too_large'
  /** Too many calls wait for this endpoint already. */
  | 'overload'
  | 'circuit_open'
  | 'closed';

export class CallError extends UnavailableError {
  readonly fault: CallFault;
  /** HTTP status; 0 when there was none. */
  readonly status: number;

  constructor(fault: CallFault, message: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(message, options);
    this.fault = fault;
    this.status = options.status ?? 0;
  }
}

/** Faults that say the endpoint is away, and not that it dislikes one request. */
export function isOutage({ fault, status }: CallError): boolean {
  return (
    fault === 'timeout' || fault === 'network' || (fault === 'status' && OUTAGE_STATUSES.includes(status))
  );
}

const OUTAGE_STATUSES: readonly number[] = [502, 503, 504];

// Messages between worker processes ("nodes"), of one host or of many: addressed, to all, or as a survey with answers.

export interface SurveyAnswer {
  readonly node: string;
  readonly result: unknown;
}

export interface SurveyResult {
  readonly answers: readonly SurveyAnswer[];
  /** Known nodes that did not answer in time. */
  readonly missing: readonly string[];
}

const NODE_FORM = /^[\w-]{16,64}$/;

/** Whether a node may be named so. What is not may mean something else to an engine, as a name for all nodes. */
export function isNodeName(text: string): boolean {
  return NODE_FORM.test(text);
}

export interface NodeBus {
  /** This process: unique per start, 16 to 64 letters, digits, `_` and `-`. */
  readonly node: string;
  /** Resolves false when no such node is alive. Payloads are JSON values. */
  send(node: string, kind: string, payload: unknown): Promise<boolean>;
  /** To every node, this one included. */
  broadcast(kind: string, payload: unknown): Promise<void>;
  /** Asks every node, this one included, and waits at most `timeoutMs` for their answers. */
  survey(kind: string, payload: unknown, timeoutMs: number): Promise<SurveyResult>;
  /** Registers what to do on a message of this kind; what it returns (or resolves to) answers a survey. */
  handle(kind: string, handler: (payload: unknown, from: string) => unknown): void;
}

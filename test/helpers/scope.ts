// What helpers need of a test: a place to register what must be undone. A tap test is one.

export interface Scope {
  teardown(undo: () => unknown): unknown;
}

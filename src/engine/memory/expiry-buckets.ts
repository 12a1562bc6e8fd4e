// Deadlines of many items without a timer each: items lie in buckets of one second, and one sweep empties the buckets
// that are due. A deadline that moves away costs nothing: the item is found early and its owner puts it back.

const BUCKET_MS = 1000;

export class ExpiryBuckets<T> {
  readonly #buckets = new Map<number, Set<T>>();
  /** The one bucket that holds the item. */
  readonly #places = new Map<T, number>();
  /** Every bucket below this number has been emptied. */
  #next: number;

  constructor(nowMs: number) {
    this.#next = Math.floor(nowMs / BUCKET_MS);
  }

  get size(): number {
    return this.#places.size;
  }

  /** Sees to it that a sweep up to a second after the deadline finds the item, if not earlier. */
  add(item: T, deadlineMs: number): void {
    const number = Math.max(Math.ceil(deadlineMs / BUCKET_MS), this.#next);
    const place = this.#places.get(item);
    if (place !== undefined && place <= number) return;
    this.delete(item);
    this.#places.set(item, number);
    const bucket = this.#buckets.get(number);
    if (bucket === undefined) this.#buckets.set(number, new Set([item]));
    else bucket.add(item);
  }

  delete(item: T): void {
    const place = this.#places.get(item);
    if (place === undefined) return;
    this.#places.delete(item);
    const bucket = this.#buckets.get(place);
    bucket?.delete(item);
    if (bucket?.size === 0) this.#buckets.delete(place);
  }

  /** Takes out everything whose bucket is due. */
  takeDue(nowMs: number): T[] {
    const last = Math.floor(nowMs / BUCKET_MS);
    const due: T[] = [];
    // After a long pause there are more numbers than buckets.
    if (last - this.#next > this.#buckets.size) {
      for (const number of this.#buckets.keys()) if (number <= last) this.#empty(number, due);
    } else {
      for (let number = this.#next; number <= last; number += 1) this.#empty(number, due);
    }
    this.#next = Math.max(this.#next, last + 1);
    return due;
  }

  #empty(number: number, due: T[]): void {
    for (const item of this.#buckets.get(number) ?? []) {
      due.push(item);
      this.#places.delete(item);
    }
    this.#buckets.delete(number);
  }
}

// Walks the fields of one Protobuf message. What is not read is skipped, so that newer clients' fields do no harm.
import protobuf from 'protobufjs/minimal.js';
import { ProtocolError } from './protocol-error.ts';

const VARINT = 0;
const LENGTH_DELIMITED = 2;

export class ProtobufFields {
  /** Of the field that `next` stopped at. */
  number = 0;
  readonly #reader: protobuf.Reader;
  #wireType = 0;
  #unread = false;

  /** Exactly one message: nothing in it can reach beyond these bytes. */
  constructor(message: Uint8Array) {
    this.#reader = protobuf.Reader.create(message);
  }

  /** False at the end. Throws when the message is cut short or no Protobuf. */
  next(): boolean {
    if (this.#unread) this.#reader.skipType(this.#wireType, 0, this.number);
    if (this.#reader.pos >= this.#reader.len) {
      this.#unread = false;
      return false;
    }
    const tag = this.#reader.tag();
    this.number = tag >>> 3;
    this.#wireType = tag & 7;
    this.#unread = true;
    return true;
  }

  string(): string {
    this.#take(LENGTH_DELIMITED);
    return this.#reader.string();
  }

  /** A copy, so that keeping it does not keep the frame; undefined when empty, as Protobuf tells no difference. */
  bytes(): Buffer | undefined {
    this.#take(LENGTH_DELIMITED);
    const bytes = this.#reader.bytes();
    return bytes.length === 0 ? undefined : Buffer.from(bytes);
  }

  message(): ProtobufFields {
    this.#take(LENGTH_DELIMITED);
    return new ProtobufFields(this.#reader.bytes());
  }

  boolean(): boolean {
    this.#take(VARINT);
    return this.#reader.bool();
  }

  uint32(): number {
    this.#take(VARINT);
    return this.#reader.uint32();
  }

  int32(): number {
    this.#take(VARINT);
    return this.#reader.int32();
  }

  uint64(): number {
    this.#take(VARINT);
    return safeInteger(this.#reader.uint64());
  }

  int64(): number {
    this.#take(VARINT);
    return safeInteger(this.#reader.int64());
  }

  #take(wireType: number): void {
    if (this.#wireType !== wireType) throw new ProtocolError(`field ${this.number} has the wrong wire type`);
    this.#unread = false;
  }
}

/** The reader gives a Long, whose digits are exact where its own conversion would round. */
function safeInteger(value: unknown): number {
  const number = Number(String(value));
  if (!Number.isSafeInteger(number)) throw new ProtocolError('number is out of range');
  return number;
}

// What the embedded engine must not forget when it moves to another process or restarts: streams with their positions, and
// idempotency keys. A sequence of frames, so that a large state is written and read in pieces:
//
//   header | stream, its entries | stream, its entries | … | key | key | … | end with the number of frames before it
import type { StreamPosition } from '../../protocol/publication.ts';
import { FrameDecoder } from './frame-decoder.ts';
import { FrameReader } from '../frame-reader.ts';
import { FrameWriter } from '../frame-writer.ts';
import { type StoredPublication, Stream, type StreamState } from './stream.ts';
import { WireError } from '../wire-error.ts';

const STATE_VERSION = 1;
const PIECE_BYTES = 1024 * 1024;
const StateFrame = { header: 1, stream: 2, entry: 3, key: 4, end: 5 } as const;

export interface StateToEncode {
  readonly streams: ReadonlyMap<string, Stream>;
  readonly keys: Iterable<readonly [name: string, position: StreamPosition, untilMs: number]>;
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export interface RestoredKey {
  readonly name: string;
  readonly position: StreamPosition;
  readonly untilMs: number;
}

export interface RestoredState {
  readonly streams: ReadonlyMap<string, Stream>;
  readonly keys: readonly RestoredKey[];
}

const EVERYTHING = { limit: -1, sinceOffset: undefined, reverse: false };

export function* encodeState(state: StateToEncode): Generator<Buffer> {
  const writer = new FrameWriter();
  let frames = 0;
  for (const frame of framesOf(state, writer)) {
    frame.end();
    frames += 1;
    if (writer.pendingBytes >= PIECE_BYTES) yield Buffer.concat(writer.take());
  }
  writer.begin(StateFrame.end, frames).end();
  yield Buffer.concat(writer.take());
}

function* framesOf(state: StateToEncode, writer: FrameWriter): Generator<FrameWriter> {
  const { streams, keys, monotonicMs, wallMs } = state;
  yield writer.begin(StateFrame.header, STATE_VERSION).f64(wallMs);
  for (const [channel, stream] of streams) {
    const { epoch, top, version, versionEpoch, entriesLeftMs, metaLeftMs } = stream.state(monotonicMs);
    const entries = stream.read(EVERYTHING);
    yield writer
      .begin(StateFrame.stream, entries.length)
      .string(channel)
      .string(epoch)
      .f64(top)
      .f64(version)
      .string(versionEpoch)
      .f64(entriesLeftMs)
      .f64(metaLeftMs);
    for (const { time, body } of entries) yield writer.begin(StateFrame.entry, 0).f64(time).raw(body);
  }
  for (const [name, { offset, epoch }, untilMs] of keys) {
    yield writer
      .begin(StateFrame.key, 0)
      .string(name)
      .f64(offset)
      .string(epoch)
      .f64(untilMs - monotonicMs);
  }
}

/** Lifetimes went on while the state was nobody's: by the wall clock, the only one that outlives a process. */
export function decodeState(pieces: Iterable<Buffer>, monotonicMs: number, wallMs: number): RestoredState {
  const state = new StateReader(monotonicMs, wallMs);
  const frame = new FrameReader();
  const decoder = new FrameDecoder(frame);
  for (const piece of pieces) {
    decoder.push(piece);
    while (decoder.next()) state.take(frame);
  }
  if (!state.isComplete || decoder.bufferedBytes > 0)
    throw new WireError('the state of the engine is cut short');
  return state;
}

class StateReader implements RestoredState {
  readonly streams = new Map<string, Stream>();
  readonly keys: RestoredKey[] = [];
  readonly #nowMs: number;
  readonly #wallMs: number;
  #frames = 0;
  #savedMs = 0;
  #channel = '';
  #state: StreamState | undefined;
  #entries: StoredPublication[] = [];
  #entriesLeft = 0;
  isComplete = false;

  constructor(nowMs: number, wallMs: number) {
    this.#nowMs = nowMs;
    this.#wallMs = wallMs;
  }

  take(frame: FrameReader): void {
    if (this.isComplete) throw new WireError('the state of the engine goes on after its end');
    if ((this.#frames === 0) !== (frame.type === StateFrame.header)) throw outOfOrder();
    if (this.#entriesLeft > 0 !== (frame.type === StateFrame.entry)) throw outOfOrder();
    switch (frame.type) {
      case StateFrame.header:
        this.#header(frame);
        break;
      case StateFrame.stream:
        this.#stream(frame);
        break;
      case StateFrame.entry:
        this.#entry(frame);
        break;
      case StateFrame.key: {
        const name = frame.string();
        const position = { offset: frame.f64(), epoch: frame.string() };
        this.keys.push({ name, position, untilMs: this.#savedMs + frame.f64() });
        break;
      }
      case StateFrame.end:
        if (frame.id !== this.#frames) throw outOfOrder();
        this.isComplete = true;
        break;
      default:
        throw outOfOrder();
    }
    this.#frames += 1;
  }

  #header(frame: FrameReader): void {
    if (frame.id !== STATE_VERSION) {
      throw new WireError(
        `the state of the engine has version ${String(frame.id)}, not ${String(STATE_VERSION)}`,
      );
    }
    // A wall clock that was set back must not prolong lives.
    this.#savedMs = this.#nowMs - Math.max(0, this.#wallMs - frame.f64());
  }

  #stream(frame: FrameReader): void {
    this.#channel = frame.string();
    this.#entriesLeft = frame.id;
    this.#entries = [];
    this.#state = {
      epoch: frame.string(),
      top: frame.f64(),
      version: frame.f64(),
      versionEpoch: frame.string(),
      entriesLeftMs: frame.f64(),
      metaLeftMs: frame.f64(),
    };
    if (this.#entriesLeft === 0) this.#finishStream(this.#state);
  }

  #entry(frame: FrameReader): void {
    if (this.#state === undefined) throw outOfOrder();
    // Entries are the newest of the stream, without gaps.
    const offset = this.#state.top - this.#entriesLeft + 1;
    const time = frame.f64();
    const rest = frame.rest();
    const body = Buffer.allocUnsafeSlow(rest.length);
    rest.copy(body);
    this.#entries.push({ offset, time, body });
    this.#entriesLeft -= 1;
    if (this.#entriesLeft === 0) this.#finishStream(this.#state);
  }

  #finishStream(state: StreamState): void {
    this.streams.set(this.#channel, Stream.restore(state, this.#entries, this.#savedMs));
  }
}

function outOfOrder(): WireError {
  return new WireError('the state of the engine is damaged');
}

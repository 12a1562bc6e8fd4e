// The language of the local socket between the embedded engine and its workers.
//
//   u32 length of what follows | u8 type | u32 id (0: no answer wanted) | body
//
// Strings and byte fields carry a u32 length, numbers that may pass 2^32 are float64, all big-endian.

export const WIRE_VERSION = 4;

/** Of one frame, both ways. Lists (history, presence) are spread over several frames. */
export const MAX_FRAME_BYTES = 64 * 1024 * 1024;

export const FrameType = {
  /** worker → engine: version, node id, whether it wants to be told of occupancy. The first frame of every link. */
  hello: 1,
  /** engine → worker: what the request of this id resolves to. */
  answer: 2,
  /** engine → worker: why the request of this id failed. */
  failure: 3,
  /** engine → worker: some items of a list; the answer follows the last of them. */
  part: 4,
  /**
   * Both ways: channel, origin (publisher, number), time, publication without a place in a stream. Forwarded as it came to
   * all other workers that are subscribed; the one that it came from delivers it itself.
   */
  plain: 5,
  /** worker → engine: channel, options, publication. */
  publish: 6,
  /** engine → worker: channel, position, publication, perhaps the one before it. */
  delivery: 7,
  /** Both ways, forwarded like `plain`: channel, origin, client info. */
  join: 8,
  leave: 9,
  /** worker → engine: channel, whether exclusivity is wanted. Answered with a grant, 0 for none. */
  subscribe: 10,
  unsubscribe: 11,
  /** engine → worker: you may ask for exclusivity in this channel. */
  offer: 12,
  /** engine → worker: exclusivity ends; confirm that from now on everything is sent here too. */
  share: 13,
  /** worker → engine: confirmed. */
  shared: 14,
  history: 15,
  removeHistory: 16,
  presenceAdd: 17,
  presenceRemove: 18,
  presenceGet: 19,
  presenceStats: 20,
  ping: 21,
  nodeSend: 22,
  nodeBroadcast: 23,
  /** worker → engine: asks every node; answered with the ids of the nodes asked. */
  survey: 24,
  /** Both ways: one node's answer, routed to the node that asked. */
  surveyAnswer: 25,
  /** engine → worker: a message or a survey question of another node. */
  nodeMessage: 26,
  /** engine → worker: channel, 1: got its first subscriber of the host, 0: lost the last. To one worker of those that want it. */
  occupancy: 27,
  /** engine → worker: send nothing more until told; what was sent before is still carried out. */
  pause: 28,
  /** worker → engine: this was the last frame until `resume`, but for `shared`. */
  paused: 29,
  /** engine → worker: go on. */
  resume: 30,
  /** engine → worker, while it pauses: another engine goes on from exactly here, at the same path. */
  moved: 31,
  /** worker → engine that goes on: all interest and presence is told. Answered by `resume` when all workers have. */
  retold: 32,
} as const;

/** Bytes before the body of a frame: length, type, id. */
export const HEADER_BYTES = 9;

/** Bits of the `publish` frame. */
export const PublishFlag = { delta: 1, idempotent: 2, versioned: 4 } as const;

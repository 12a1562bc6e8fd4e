// What travels through a channel. Payloads are bytes: raw JSON text without line breaks, or anything at all when they
// came as binary.

export interface ClientInfo {
  readonly user: string;
  readonly client: string;
  /** Raw JSON (or bytes), from the connection token or the connect hook. */
  readonly connInfo?: Buffer | undefined;
  /** Raw JSON (or bytes), from the subscription. */
  readonly chanInfo?: Buffer | undefined;
}

export interface StreamPosition {
  /** Of the last publication seen; 0 is before the first one. */
  readonly offset: number;
  /** Names the generation of the stream; a different one means that history was lost. */
  readonly epoch: string;
}

/** A publication before the engine has given it a place. */
export interface PublicationDraft {
  readonly data: Buffer;
  /** True: the payload is known to be valid JSON on one line, as that of a JSON client is. */
  readonly isJson?: boolean | undefined;
  readonly info?: ClientInfo | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

export interface Publication extends PublicationDraft {
  /** 1-based place in the stream; 0 in channels without history. */
  readonly offset: number;
  /** Unix milliseconds at which the engine took it; 0 when unknown. */
  readonly time: number;
}

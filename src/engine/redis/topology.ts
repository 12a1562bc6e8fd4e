// Who is the master of what, where that changes: told by sentinels, or by the nodes of a Cluster.
import type { ServerTarget } from './settings.ts';

export interface Owner {
  /** As `targetName` gives it. */
  readonly name: string;
  readonly target: ServerTarget;
  /** A tag that belongs to it. */
  readonly tag: string;
}

export interface Topology {
  /** Those who have something. */
  readonly owners: readonly Owner[];
  /** Not all is known, or nobody has some part: why, for people. */
  readonly fault: string | undefined;
  /** The name of the owner; undefined while nobody is known to be it. */
  ownerOf(tag: string): string | undefined;
  open(): void;
  /** Something seems to have changed. */
  hint(): void;
  /** What this node of a Cluster answers to `CLUSTER NODES`: it has been said to have a slot. */
  learn(host: string, answer: unknown): void;
  close(): Promise<void>;
}

export interface TopologyListener {
  /** `failedOver`: some part has a new master that may lack what the former one took last. */
  onChange(failedOver: boolean): void;
}

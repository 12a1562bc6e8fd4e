// The Lua scripts, one file each. The build copies them beside the bundle of this file; without it they are found where they
// were written.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface Script {
  readonly name: string;
  readonly source: string;
  /** Under which Redis knows it. */
  readonly sha: string;
}

export interface Scripts {
  readonly publish: Script;
  readonly publishOnce: Script;
  readonly history: Script;
  readonly presenceAdd: Script;
  readonly presenceRemove: Script;
  readonly presenceSweep: Script;
  readonly occupancyAdd: Script;
  readonly occupancyRemove: Script;
  readonly leaseRenew: Script;
  readonly leaseClaim: Script;
}

export function loadScripts(): Scripts {
  return {
    publish: load('publish'),
    publishOnce: load('publish-once'),
    history: load('history'),
    presenceAdd: load('presence-add'),
    presenceRemove: load('presence-remove'),
    presenceSweep: load('presence-sweep'),
    occupancyAdd: load('occupancy-add'),
    occupancyRemove: load('occupancy-remove'),
    leaseRenew: load('lease-renew'),
    leaseClaim: load('lease-claim'),
  };
}

function load(name: string): Script {
  const source = read(`lua/${name}.lua`);
  return { name, source, sha: createHash('sha1').update(source).digest('hex') };
}

function read(path: string): string {
  const beside = new URL(path, import.meta.url);
  try {
    return readFileSync(beside, 'utf8');
  } catch (error) {
    // Compiled and not bundled: `<root>/.build/src/engine/redis/`.
    const source = new URL(`../../../../src/engine/redis/${path}`, import.meta.url);
    try {
      return readFileSync(source, 'utf8');
    } catch {
      throw error;
    }
  }
}

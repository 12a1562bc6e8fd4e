// The version of this program, from the package.json above this file: `dist/chunks/` and `.build/src/util/` lie at different
// depths.
import { readFileSync } from 'node:fs';

export function readVersion(): string {
  for (const above of ['../../package.json', '../../../package.json']) {
    try {
      const manifest: unknown = JSON.parse(readFileSync(new URL(above, import.meta.url), 'utf8'));
      if (typeof manifest !== 'object' || manifest === null) continue;
      if (!('name' in manifest) || manifest.name !== 'holdfast') continue;
      if ('version' in manifest && typeof manifest.version === 'string') return manifest.version;
    } catch {
      // Not at this depth.
    }
  }
  return 'unknown';
}

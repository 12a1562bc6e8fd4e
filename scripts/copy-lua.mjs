// Copies the Lua scripts beside the compiled code, which is all that an installed package has.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const scripts = join('engine', 'redis', 'lua');
cpSync(join(root, 'src', scripts), join(root, 'dist', scripts), { recursive: true });

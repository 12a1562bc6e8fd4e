// Globs over channel names, matched in time linear in the name whatever the pattern is: all ways in which it may match are
// followed at once, one bit for each place in the pattern.

/** Names are no longer either, by default. */
export const MAX_GLOB_LENGTH = 255;

/** `*` is any run of characters, `?` any one of them, `\` takes the next one as it is. An empty pattern matches all. */
export function globMatcher(pattern: string): (name: string) => boolean {
  if (pattern === '') return () => true;
  const places = parse(pattern);
  const words = (places.length >>> 5) + 1;
  // Bit i: from place i on, any run may follow.
  const loops = new Uint32Array(words);
  const anyCharacter = new Uint32Array(words);
  // Bit i: place i takes this character.
  const takers = new Map<number, Uint32Array>();
  let length = 0;
  for (const place of places) {
    if (place === ANY_RUN) set(loops, length);
    else {
      if (place === ANY_ONE) set(anyCharacter, length);
      else set(ofCharacter(takers, place, words), length);
      length += 1;
    }
  }
  for (const taker of takers.values()) {
    for (let word = 0; word < words; word += 1) taker[word] = (taker[word] ?? 0) | (anyCharacter[word] ?? 0);
  }
  const state = new Uint32Array(words);
  return (name) => {
    state.fill(0);
    state[0] = 1;
    for (let index = 0; index < name.length; index += 1) {
      const taker = takers.get(name.charCodeAt(index)) ?? anyCharacter;
      let carry = 0;
      let alive = 0;
      for (let word = 0; word < words; word += 1) {
        const at = state[word] ?? 0;
        const moved = at & (taker[word] ?? 0);
        const next = (moved << 1) | carry | (at & (loops[word] ?? 0));
        state[word] = next;
        carry = moved >>> 31;
        alive |= next;
      }
      if (alive === 0) return false;
    }
    return ((state[length >>> 5] ?? 0) & (1 << (length & 31))) !== 0;
  };
}

const ANY_RUN = -1;
const ANY_ONE = -2;

/** Character codes, or one of the two above. */
function parse(pattern: string): readonly number[] {
  const places: number[] = [];
  for (let index = 0; index < pattern.length; index += 1) {
    const character = pattern[index];
    if (character === '*') places.push(ANY_RUN);
    else if (character === '?') places.push(ANY_ONE);
    else {
      if (character === '\\' && index + 1 < pattern.length) index += 1;
      places.push(pattern.charCodeAt(index));
    }
  }
  return places;
}

function ofCharacter(takers: Map<number, Uint32Array>, code: number, words: number): Uint32Array {
  let taker = takers.get(code);
  if (taker === undefined) takers.set(code, (taker = new Uint32Array(words)));
  return taker;
}

function set(bits: Uint32Array, at: number): void {
  bits[at >>> 5] = (bits[at >>> 5] ?? 0) | (1 << (at & 31));
}

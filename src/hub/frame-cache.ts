// Encoded frames by wire format and form. Nearly everything is wanted in one of them only, which costs no list.
import type { WireFormat } from '../protocol/wire-format.ts';
import { FORM_INDEX, FORMS, type ItemForm } from './item-form.ts';

/** null: it has no form in this encoding. */
export type CachedFrame = Buffer | null;

export class FrameCache {
  #slot = -1;
  #frame: CachedFrame = null;
  #others: Map<number, CachedFrame> | undefined;

  find(format: WireFormat, form: ItemForm): CachedFrame | undefined {
    const slot = slotOf(format, form);
    return slot === this.#slot ? this.#frame : this.#others?.get(slot);
  }

  /** Returns the frame. */
  add(format: WireFormat, form: ItemForm, frame: CachedFrame): CachedFrame {
    const slot = slotOf(format, form);
    if (this.#slot === -1) {
      this.#slot = slot;
      this.#frame = frame;
    } else (this.#others ??= new Map<number, CachedFrame>()).set(slot, frame);
    return frame;
  }
}

function slotOf(format: WireFormat, form: ItemForm): number {
  return format.index * FORMS + FORM_INDEX[form];
}

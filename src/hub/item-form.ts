// In which ways one publication can go to subscribers.

/**
 * plain: as published · full: the whole payload in the form of a delta subscription · patch: what changed since the
 * publication before, or full where there is nothing to compare with (client protocol §16).
 */
export type ItemForm = 'plain' | 'full' | 'patch';

export const FORM_INDEX = { plain: 0, full: 1, patch: 2 } as const;
export const FORMS = 3;

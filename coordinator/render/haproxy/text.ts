/*
 * The last guard before text becomes configuration: one line stays one line. Whatever is refused here
 * is named, so that its owner can find it.
 */

// Control characters, and the line separators that editors and parsers disagree on.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** Names of sections and servers. Source: HAProxy's configuration manual, section 2.2 and 4. */
const NAME = /^[A-Za-z0-9_.:-]{1,200}$/;

/** A value that needs no quoting: no blanks, quotes, backslashes, `#` (comment) or `$` (variable). */
const TOKEN = /^[A-Za-z0-9_.,:;@%+/=()[\]{}*?!<>|~^&-]{1,512}$/;

export function isName(text: string): boolean {
  return NAME.test(text);
}

export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

export function hasControlCharacter(text: string): boolean {
  return CONTROL.test(text);
}

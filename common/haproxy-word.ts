/**
 * A text as one word of HAProxy's configuration: blanks, quotes, comments and variables are read as themselves only
 * behind a backslash (configuration manual, section 2.2).
 */
export function haproxyWord(text: string): string {
  return text.replaceAll(/[\s"'\\#$]/g, "\\$&");
}

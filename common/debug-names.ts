/**
 * Which parts a `DEBUG` value selects. Names are separated by commas or spaces, `*` stands for anything,
 * a leading `-` excludes and wins. `health:*` selects `health` itself too; the program as a whole has
 * the empty name, which only `*` selects.
 */
export function debugSelector(text: string): (name: string) => boolean {
  const words = text.split(/[\s,]+/).filter((word) => word !== "" && word !== "-");
  const included = words.filter((word) => !word.startsWith("-")).map(patternOf);
  const excluded = words.filter((word) => word.startsWith("-")).map((word) => patternOf(word.slice(1)));
  return (name) =>
    included.some((pattern) => pattern.test(name)) && !excluded.some((pattern) => pattern.test(name));
}

function patternOf(word: string): RegExp {
  const optionalTail = word.endsWith(":*") ? "(:.*)?" : "";
  const head = optionalTail === "" ? word : word.slice(0, -2);
  const escaped = head.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${escaped.join(".*")}${optionalTail}$`);
}

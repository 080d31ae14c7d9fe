import { isAlias, isMap, isScalar, isSeq, parseDocument } from "yaml";

/**
 * The text of a configuration without the passphrase that it may hold, for what all coordinators share and
 * `duckctl config show` prints. `${VAR}` stays, as it tells nothing. The rest of the text stays as it is.
 */
export function withoutPassphrase(text: string): string {
  if (!text.includes("passphrase")) return text;
  const document = parseDocument(text);
  const transports = document.get("transports");
  const secrets = (isSeq(transports) ? transports.items : []).flatMap((item) => {
    const entry = isAlias(item) ? item.resolve(document) : item;
    if (!isMap(entry)) return [];
    const written = entry.get("passphrase", true);
    const value = isAlias(written) ? written.resolve(document) : written;
    return isScalar(value) && typeof value.value === "string" && value.range != null ? [value] : [];
  });
  return secrets
    .map(({ value, range }) => ({ value: String(value), start: range?.[0] ?? 0, end: range?.[1] ?? 0 }))
    .filter(({ value }) => !/^\$\{[^}]*\}$/.test(value))
    .sort((left, right) => right.start - left.start)
    .reduce((rest, { start, end }) => {
      // A block of lines ends with the line break before what follows.
      const ending = rest.slice(start, end).endsWith("\n") ? "\n" : "";
      return `${rest.slice(0, start)}null${ending}${rest.slice(end)}`;
    }, text);
}

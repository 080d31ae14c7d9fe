/** Fields of INFO by name. */
export type InfoFields = ReadonlyMap<string, string>;

/** Reads INFO's `name:value` lines; section titles and anything else are skipped. */
export function parseInfo(text: string): InfoFields {
  const fields = new Map<string, string>();
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

/** A field as a number; undefined when it is absent or none. */
export function numberOf(fields: InfoFields, name: string): number | undefined {
  const text = fields.get(name);
  const value = text === undefined || text === "" ? NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
}

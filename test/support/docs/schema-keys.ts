import type { JsonObject, JsonValue } from "../../../common/config/model.js";

/** Every key that a JSON Schema knows by name, wherever it stands. */
export function keysOf(schema: JsonObject): ReadonlySet<string> {
  const keys = new Set<string>();
  const visit = (value: JsonValue): void => {
    if (Array.isArray(value)) {
      for (const item of value as readonly JsonValue[]) visit(item);
      return;
    }
    if (typeof value !== "object" || value === null) return;
    for (const [word, part] of Object.entries(value)) {
      if (word === "properties" && typeof part === "object" && part !== null && !Array.isArray(part)) {
        for (const [key, property] of Object.entries(part)) {
          keys.add(key);
          visit(property);
        }
      } else if (word !== "default" && word !== "enum" && word !== "const") visit(part);
    }
  };
  visit(schema);
  return keys;
}

/**
 * The keys that may stand in one place: `the file`, or a path like `clusters.*.nodes` (`*`: any name; lists are
 * passed through). Where several forms are told apart by `type`, those that all of them share; with ` type=WORD`
 * behind it, those that only some have, of that one.
 */
export function propertiesAt(schema: JsonObject, place: string): ReadonlyMap<string, JsonObject> {
  const [path = "", type] = place.split(" type=");
  let forms: readonly JsonObject[] = [schema];
  if (path !== "the file") {
    for (const word of path.split("."))
      forms = forms.flatMap((form) => childrenOf(form, word)).flatMap((form) => objectForms(form, schema));
  }
  if (forms.length === 0) throw new Error(`the schema has nothing at ${place}`);
  const [first = {}, ...others] = forms.map(propertiesOf);
  const shared = Object.keys(first).filter((key) => others.every((other) => key in other));
  if (type === undefined) return pick(first, shared);
  const form = forms.map(propertiesOf).find((each) => asObject(each["type"])["const"] === type);
  if (form === undefined) throw new Error(`the schema has no type ${type} at ${path}`);
  return pick(
    form,
    Object.keys(form).filter((key) => !shared.includes(key)),
  );
}

/** A default that a table can show; null: none, or none that is one word. */
export function defaultOf(property: JsonObject | undefined): string | null {
  const value = property?.["default"];
  if (value === "") return null;
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : null;
}

function childrenOf(form: JsonObject, word: string): readonly JsonObject[] {
  const child = word === "*" ? form["additionalProperties"] : propertiesOf(form)[word];
  return typeof child === "object" && child !== null && !Array.isArray(child) ? [child as JsonObject] : [];
}

/** The mappings that a schema allows, through references, choices and lists. */
function objectForms(form: JsonObject, schema: JsonObject): readonly JsonObject[] {
  const reference = form["$ref"];
  if (typeof reference === "string") {
    const name = reference.split("/").at(-1) ?? "";
    return objectForms(asObject(asObject(schema["$defs"])[name]), schema);
  }
  const choices = form["anyOf"] ?? form["oneOf"];
  if (Array.isArray(choices))
    return (choices as readonly JsonObject[]).flatMap((choice) => objectForms(choice, schema));
  if (form["type"] === "array") return objectForms(asObject(form["items"]), schema);
  return "properties" in form || "additionalProperties" in form ? [form] : [];
}

function propertiesOf(form: JsonObject): JsonObject {
  return asObject(form["properties"]);
}

function pick(properties: JsonObject, keys: readonly string[]): ReadonlyMap<string, JsonObject> {
  return new Map(keys.map((key) => [key, asObject(properties[key])]));
}

function asObject(value: JsonValue | undefined): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

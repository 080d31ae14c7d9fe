import { isTextAttribute } from "../common/config/node-attributes.js";
import { ClusterduckError } from "../common/errors.js";

export type AttributeValue = string | number | boolean;

/**
 * Reads `weight=10 backup=true comment="the new one"`: numbers and true/false as such, the rest as text,
 * and so everything of an attribute that only text can be.
 * @throws ClusterduckError INVALID_ARGUMENT for what has no `=`, names an attribute twice or as no object can,
 * or is not one line.
 */
export function parseAttributes(words: readonly string[]): Record<string, AttributeValue> {
  const attributes: Record<string, AttributeValue> = {};
  for (const word of words) {
    const at = word.indexOf("=");
    const name = word.slice(0, at);
    if (at < 1) {
      throw new ClusterduckError(
        "INVALID_ARGUMENT",
        `Invalid attribute ${JSON.stringify(word)}: expected NAME=VALUE, as in weight=10`,
      );
    }
    // They end up in proxies' files and commands' environments, a line each.
    if (/\p{Cc}/u.test(word)) {
      throw new ClusterduckError(
        "INVALID_ARGUMENT",
        `Invalid attribute ${JSON.stringify(word)}: a value is one line without control characters`,
      );
    }
    if (name === "__proto__") {
      throw new ClusterduckError(
        "INVALID_ARGUMENT",
        `Invalid attribute ${JSON.stringify(word)}: no attribute can have that name, use another one`,
      );
    }
    if (Object.hasOwn(attributes, name)) {
      throw new ClusterduckError("INVALID_ARGUMENT", `Attribute "${name}" is given twice`);
    }
    const text = word.slice(at + 1);
    attributes[name] = isTextAttribute(name) ? text : parseValue(text);
  }
  return attributes;
}

function parseValue(text: string): AttributeValue {
  if (text === "true" || text === "false") return text === "true";
  return /^-?(0|[1-9]\d{0,14})(\.\d+)?$/.test(text) ? Number(text) : text;
}

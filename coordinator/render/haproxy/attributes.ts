import { isToken } from "./text.js";

/** How one server parameter of HAProxy is checked and written. */
type Parameter =
  | { readonly kind: "flag" }
  | { readonly kind: "integer"; readonly min: number; readonly max: number }
  | { readonly kind: "time" }
  | { readonly kind: "word"; readonly allowed: readonly string[] }
  | { readonly kind: "token" };

const FLAG: Parameter = { kind: "flag" };
const TIME: Parameter = { kind: "time" };
const TOKEN: Parameter = { kind: "token" };
const integer = (min: number, max: number): Parameter => ({ kind: "integer", min, max });
const word = (...allowed: readonly string[]): Parameter => ({ kind: "word", allowed });

const TLS_VERSIONS = word("SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3");

/**
 * Node attributes that HAProxy understands, in the order they are written. Attributes are free facts, so
 * one that is not here is nobody's mistake and is left out silently.
 * `weight`, `disabled` and `comment` are written by the server line itself.
 * Source: HAProxy's configuration manual, section 5.2 (parameters of 2.4 and later).
 */
export const SERVER_PARAMETERS: ReadonlyMap<string, Parameter> = new Map<string, Parameter>([
  ["maxconn", integer(0, 10_000_000)],
  ["minconn", integer(0, 10_000_000)],
  ["maxqueue", integer(0, 10_000_000)],
  ["pool-max-conn", integer(-1, 10_000_000)],
  ["pool-purge-delay", TIME],
  ["cookie", TOKEN],
  ["backup", FLAG],
  ["check", FLAG],
  ["inter", TIME],
  ["fastinter", TIME],
  ["downinter", TIME],
  ["fall", integer(1, 1_000)],
  ["rise", integer(1, 1_000)],
  ["port", integer(1, 65_535)],
  ["addr", TOKEN],
  ["check-ssl", FLAG],
  ["check-sni", TOKEN],
  ["check-alpn", TOKEN],
  ["check-proto", word("h1", "h2")],
  ["check-send-proxy", FLAG],
  ["agent-check", FLAG],
  ["agent-addr", TOKEN],
  ["agent-port", integer(1, 65_535)],
  ["agent-inter", TIME],
  ["observe", word("layer4", "layer7")],
  ["error-limit", integer(1, 1_000_000)],
  ["on-error", word("fastinter", "fail-check", "sudden-death", "mark-down")],
  ["on-marked-down", word("shutdown-sessions")],
  ["on-marked-up", word("shutdown-backup-sessions")],
  ["slowstart", TIME],
  ["track", TOKEN],
  ["ssl", FLAG],
  ["verify", word("none", "required")],
  ["verifyhost", TOKEN],
  ["ca-file", TOKEN],
  ["crl-file", TOKEN],
  ["crt", TOKEN],
  ["sni", TOKEN],
  ["alpn", TOKEN],
  ["ciphers", TOKEN],
  ["ciphersuites", TOKEN],
  ["ssl-min-ver", TLS_VERSIONS],
  ["ssl-max-ver", TLS_VERSIONS],
  ["no-ssl-reuse", FLAG],
  ["allow-0rtt", FLAG],
  ["proto", word("h1", "h2", "fcgi")],
  ["send-proxy", FLAG],
  ["send-proxy-v2", FLAG],
  ["send-proxy-v2-ssl", FLAG],
  ["proxy-v2-options", TOKEN],
  ["source", TOKEN],
  ["tfo", FLAG],
  ["namespace", TOKEN],
  ["init-addr", TOKEN],
  ["resolvers", TOKEN],
  ["resolve-prefer", word("ipv4", "ipv6")],
  ["resolve-opts", TOKEN],
  ["resolve-net", TOKEN],
]);

/** A number of a time unit, as HAProxy writes it: `500`, `2s`, `1500ms`, `1m`. */
const TIME_PATTERN = /^\d{1,9}(us|ms|s|m|h|d)?$/;

export type WrittenParameter =
  | { readonly kind: "written"; readonly text: string }
  | { readonly kind: "absent" }
  | { readonly kind: "refused"; readonly expected: string };

/** Writes one parameter, or says what its value should have been. */
export function writeParameter(name: string, value: string | number | boolean): WrittenParameter {
  const parameter = SERVER_PARAMETERS.get(name);
  if (parameter === undefined) return { kind: "absent" };
  switch (parameter.kind) {
    case "flag": {
      const isSet = booleanOf(value);
      if (isSet === null) return { kind: "refused", expected: "true or false" };
      return isSet ? { kind: "written", text: name } : { kind: "absent" };
    }
    case "integer": {
      const number = integerOf(value);
      if (number === null || number < parameter.min || number > parameter.max) {
        return { kind: "refused", expected: `a whole number from ${parameter.min} to ${parameter.max}` };
      }
      return { kind: "written", text: `${name} ${number}` };
    }
    case "time":
      if (!TIME_PATTERN.test(String(value))) {
        return { kind: "refused", expected: 'a time such as "500ms" or "2s"' };
      }
      return { kind: "written", text: `${name} ${value}` };
    case "word":
      if (!parameter.allowed.includes(String(value))) {
        return { kind: "refused", expected: `one of ${parameter.allowed.join(", ")}` };
      }
      return { kind: "written", text: `${name} ${value}` };
    case "token":
      // `cookie: true` and the like: a key that is only switched off is not a value.
      if (value === false) return { kind: "absent" };
      if (value === true || !isToken(String(value))) {
        return { kind: "refused", expected: "text without blanks, quotes, # or $" };
      }
      return { kind: "written", text: `${name} ${value}` };
  }
}

export function integerOf(value: string | number | boolean): number | null {
  if (typeof value === "number") return Number.isInteger(value) ? value : null;
  if (typeof value === "string" && /^-?\d{1,10}$/.test(value)) return Number(value);
  return null;
}

function booleanOf(value: string | number | boolean): boolean | null {
  if (typeof value === "boolean") return value;
  if (value === 1 || value === "true" || value === "on" || value === "yes" || value === "") return true;
  if (value === 0 || value === "false" || value === "off" || value === "no") return false;
  return null;
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { CHECK_OPTIONS } from "./checks/index.js";
import { configJsonSchema } from "./json-schema.js";
import type { JsonObject, JsonValue } from "./model.js";

const schema = configJsonSchema();

function at(...path: readonly string[]): JsonObject {
  let value: JsonValue = schema;
  for (const key of path) value = (value as JsonObject)[key] ?? {};
  return value as JsonObject;
}

test("the JSON Schema is draft 2020-12 and refuses unknown keys that are no cluster", () => {
  assert.equal(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
  assert.deepEqual(schema["additionalProperties"], { $ref: "#/$defs/cluster" });
  assert.deepEqual(at("properties", "clusters", "additionalProperties"), { $ref: "#/$defs/cluster" });
  assert.equal(at("$defs", "cluster")["additionalProperties"], false);
  assert.deepEqual(at("$defs", "cluster")["required"], ["type"]);
});

test("the JSON Schema describes what the file says, not what is made of it", () => {
  assert.deepEqual(at("$defs", "cluster", "properties", "type")["enum"], [
    "redis",
    "http",
    "tcp",
    "grpc",
    "clusterduck-redis",
    "clusterduck-http",
  ]);
  assert.deepEqual(at("$defs", "cluster", "properties", "purge_unavailable")["type"], ["string", "number"]);
  const checks = at("$defs", "cluster", "properties", "health_checks", "items")[
    "oneOf"
  ] as readonly JsonObject[];
  const types = checks.map((check) => ((check["properties"] as JsonObject)["type"] as JsonObject)["const"]);
  assert.deepEqual(types, Object.keys(CHECK_OPTIONS));
  assert.deepEqual(checks[0]?.["required"], ["type"]);
});

test("every key of the sections has a description", () => {
  const described = (section: JsonObject): string[] =>
    Object.entries(section["properties"] as JsonObject).flatMap(([key, value]) =>
      (value as JsonObject)["description"] === undefined ? [key] : [],
    );

  assert.deepEqual(described(schema), []);
  assert.deepEqual(described(at("$defs", "cluster")), []);
  assert.deepEqual(described(at("properties", "coordinator")), []);
  assert.deepEqual(described(at("properties", "agent")), []);
});

test("the JSON Schema is plain JSON", () => {
  assert.deepEqual(JSON.parse(JSON.stringify(schema)), schema);
});

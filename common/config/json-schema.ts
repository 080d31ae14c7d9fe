import { z } from "zod";
import type { JsonObject } from "./model.js";
import { fileSchema } from "./schema.js";
import { cluster } from "./schema/cluster.js";

export const JSON_SCHEMA_ID = "urn:clusterduck:configuration";

/**
 * The file's form as JSON Schema (draft 2020-12), for editors. A file names it in a comment:
 * `# yaml-language-server: $schema=./clusterduck.schema.json`.
 */
export function configJsonSchema(): JsonObject {
  const file = toJsonSchema(fileSchema);
  const properties = file["properties"] as JsonObject;
  const clusters = properties["clusters"] as JsonObject;
  return {
    ...file,
    $id: JSON_SCHEMA_ID,
    title: "clusterduck configuration",
    type: "object",
    properties: {
      ...properties,
      clusters: { ...clusters, additionalProperties: { $ref: "#/$defs/cluster" } },
    },
    // The seed's README shows a cluster at the top level of the file, so the file may look like that.
    additionalProperties: { $ref: "#/$defs/cluster" },
    $defs: { ...(file["$defs"] as JsonObject | undefined), cluster: withoutDialect(toJsonSchema(cluster)) },
  };
}

function toJsonSchema(schema: z.ZodType): JsonObject {
  const json = z.toJSONSchema(schema, {
    target: "draft-2020-12",
    io: "input",
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      // An editor shows the empty key as in use: a section without entries is the same as none.
      if (jsonSchema.type === "object" && jsonSchema.required?.length === 0) delete jsonSchema.required;
    },
  });
  return json as JsonObject;
}

function withoutDialect(schema: JsonObject): JsonObject {
  const { $schema: _, ...rest } = schema;
  return rest;
}

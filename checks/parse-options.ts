import type { z } from "zod";
import type { CheckConfig } from "../common/config/model.js";
import { ClusterduckError } from "../common/errors.js";

/**
 * Reads the options of a check by its schema. They were read once when the file was; here they become
 * typed, and a configuration that an older program replicated is refused with words.
 * @throws ClusterduckError CONFIG_INVALID that names every problem.
 */
export function parseOptions<Schema extends z.ZodType>(
  schema: Schema,
  config: CheckConfig,
): z.output<Schema> {
  const result = schema.safeParse(config.options);
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `${issue.path.join(".") || "options"} ${issue.message}`,
  );
  throw new ClusterduckError("CONFIG_INVALID", `Cannot use check "${config.id}": ${problems.join("; ")}`);
}

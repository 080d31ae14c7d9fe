/** The process that reads one large configuration and ends: see parse-aside.ts. */
import { ClusterduckError } from "../errors.js";
import { parseConfigText } from "./load.js";
import type { ParseAnswer, ParseQuestion } from "./parse-messages.js";
import { ConfigError } from "./problem.js";

process.once("message", (question: ParseQuestion) => process.send?.(answerTo(question)));

function answerTo({ text, fileName, env }: ParseQuestion): ParseAnswer {
  try {
    return { kind: "config", config: parseConfigText(text, fileName, env) };
  } catch (thrown) {
    if (thrown instanceof ConfigError) return { kind: "problems", problems: thrown.problems };
    if (!(thrown instanceof ClusterduckError)) throw thrown;
    const { code, message, hint } = thrown;
    return { kind: "refused", code, message, hint: hint ?? null };
  }
}

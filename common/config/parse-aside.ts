import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { ClusterduckError } from "../errors.js";
import { parseConfigText } from "./load.js";
import type { FileConfig } from "./model.js";
import type { ParseAnswer, ParseQuestion } from "./parse-messages.js";
import { ConfigError } from "./problem.js";

/** The bundle's name for it stands in scripts/build.mjs. */
const PROGRAM = import.meta.url.endsWith(".ts") ? "./parse-program.ts" : "./duck-config-parser.js";
/** Shorter texts are read at once: within some ten milliseconds. Characters. */
const ASIDE_FROM_LENGTH = 64 * 1024;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `parseConfigText` for a program that has to go on meanwhile: a megabyte takes half a second, and a coordinator
 * that stands still for a second or two is no longer taken for the leader. Large texts are read by a process of
 * their own, which takes its garbage with it.
 * @throws ConfigError with every problem at once
 */
export async function parseConfigAside(
  text: string,
  fileName: string,
  env: Environment,
): Promise<FileConfig> {
  if (text.length < ASIDE_FROM_LENGTH) return parseConfigText(text, fileName, env);
  const answer = await ask({ text, fileName, env: { ...env } });
  switch (answer.kind) {
    case "config":
      return answer.config;
    case "problems":
      throw new ConfigError(fileName, answer.problems);
    case "refused": {
      const { code, message, hint } = answer;
      throw new ClusterduckError(code, message, hint === null ? {} : { hint });
    }
  }
}

async function ask(question: ParseQuestion): Promise<ParseAnswer> {
  const child = fork(fileURLToPath(new URL(PROGRAM, import.meta.url)), [], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    serialization: "advanced",
    execArgv: process.execArgv.filter((word) => !word.startsWith("--inspect")),
  });
  try {
    const ended = once(child, "exit").then(([code, signal]) => {
      const how = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
      throw new ClusterduckError("COMMAND_FAILED", `Cannot read "${question.fileName}": its reader ${how}`);
    });
    const answered = once(child, "message") as Promise<[ParseAnswer]>;
    child.send(question);
    const [answer] = await Promise.race([answered, ended]);
    return answer;
  } finally {
    child.kill("SIGKILL");
  }
}

import type { PathSegment } from "./problem.js";

export type Environment = Readonly<Record<string, string | undefined>>;

export type Expansion = { readonly text: string; readonly problems: readonly string[] };

// One pass, so that nothing a variable holds is expanded again. `${` that fits no form is caught last.
const REFERENCE = /\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?-)([^{}]*))?\}|\$\{[^}]{0,40}\}?/g;

/**
 * Replaces `${VAR}`, `${VAR:-default}` (unset or empty) and `${VAR-default}` (unset); `$$` is one dollar
 * sign. A dollar sign before anything else stays, so that `$nodes_active_addrs` reaches the shell.
 */
export function expandVariables(text: string, env: Environment): Expansion {
  const problems: string[] = [];
  const expanded = text.replaceAll(
    REFERENCE,
    (whole: string, name?: string, operator?: string, fallback?: string) => {
      if (whole === "$$") return "$";
      if (name === undefined) {
        problems.push(
          `"${whole}" is not a variable: use \${NAME} or \${NAME:-default}, or $$ for a dollar sign`,
        );
        return whole;
      }
      const value = Object.hasOwn(env, name) ? env[name] : undefined;
      if (value !== undefined && (value !== "" || operator !== ":-")) return value;
      if (operator !== undefined) return fallback ?? "";
      problems.push(
        `environment variable ${name} is not set: set it, or give a default with \${${name}:-default}`,
      );
      return whole;
    },
  );
  return { text: expanded, problems };
}

const SHELL_PLACES =
  /(^|\/)(triggers\/#\/do(\/#)?\/commands|exec_checks\/[^/]+(\/command)?|reload\/command)(\/#)?$/;

/** What a shell will read: its `$VAR` and `${VAR}` are its own business. */
export function belongsToShell(path: readonly PathSegment[]): boolean {
  return SHELL_PLACES.test(path.map((segment) => (typeof segment === "number" ? "#" : segment)).join("/"));
}

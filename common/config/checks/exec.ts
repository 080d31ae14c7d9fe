import { z } from "zod";

/** Options of the check `exec`: which of the host's own commands to run. */
export const execOptions = z.strictObject({
  /**
   * A name from `exec_checks` in the configuration of the process that runs the check. The command line
   * stands only there: nothing that arrives over the network can choose what a host executes.
   */
  command: z
    .string()
    .regex(
      /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/,
      "is not a name of an entry in exec_checks: use letters, digits, _ . and -",
    ),
});

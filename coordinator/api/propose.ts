import { ClusterduckError } from "../../common/errors.js";
import type { Command } from "../state/commands.js";
import type { ControlContext } from "./context.js";

/**
 * Commits a command for a caller and returns its index.
 * @throws ClusterduckError with the state machine's reason when it refused, or the log's.
 */
export async function proposeFor(context: ControlContext, peer: string, command: Command): Promise<number> {
  const { result, position } = await context.replica.propose(command, `api:${peer}`);
  if (!result.isAccepted) throw new ClusterduckError(result.code, result.message);
  return position.index;
}

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Option } from "commander";

import { durationOption } from "./options.js";
import type { Session } from "./session.js";

/** Long enough to go to the other host and type it in. Milliseconds. */
const VALID_MS = 3_600_000;

export type JoinToken = {
  /** Names it in lists. */
  readonly id: string;
  readonly coordinator: string;
  readonly token: string;
  readonly addresses: string[];
  readonly expiresAt: string;
};

export function validOption(): Option {
  return durationOption("--valid <duration>", "how long the token works").default(VALID_MS, "1h");
}

export async function makeToken(
  { control, call }: Pick<Session, "control" | "call">,
  coordinator: string,
  validMs: number,
): Promise<JoinToken> {
  const { tokenId, token, addresses, expiresAt } = await control.createJoinToken(
    { id: coordinator, validMs },
    call,
  );
  return { id: tokenId, coordinator, token, addresses, expiresAt: dateOf(expiresAt) };
}

/** What to type on the new host. The token is no argument: those are seen by everybody on it. */
export function joinCommand({ token, addresses }: JoinToken): string {
  return `DUCK_JOIN_TOKEN=${token} duck-coordinator join ${addresses.join(" ")}`;
}

export function dateOf(time: Timestamp | undefined): string {
  return time === undefined ? "-" : new Date(timestampMs(time)).toISOString();
}

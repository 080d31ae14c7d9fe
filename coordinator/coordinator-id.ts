import { ClusterduckError } from "../common/errors.js";

const COORDINATOR_ID = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$/;

/** @param what "coordinator id". @throws ClusterduckError INVALID_ARGUMENT that says what would work. */
export function assertCoordinatorId(id: string, what: string): void {
  if (COORDINATOR_ID.test(id)) return;
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Invalid ${what} ${JSON.stringify(id.slice(0, 200))}: expected 1 to 128 letters, digits or any of . _ : @ -`,
  );
}

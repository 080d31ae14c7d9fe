import { systemClock, type Clock } from "../../common/clock.js";
import { infoOptions, type InfoOptions } from "../../common/config/checks/info.js";
import type { Check, CheckContext } from "../check.js";
import { parseOptions } from "../parse-options.js";
import { ConnectionError } from "./connection-error.js";
import type { RedisConnection } from "./connection.js";
import { numberOf, parseInfo, type InfoFields } from "./info-text.js";
import { judgeInfo } from "./judge-info.js";
import { findingOfError, type Finding } from "./replies.js";
import { ReplyError } from "./reply-reader.js";
import { parseRole, roleFromInfo, type RedisRole } from "./role.js";
import { RoundTrips } from "./round-trips.js";
import { RedisSession } from "./session.js";
import { guardWrites } from "./write-pause.js";

/** The canary expires by itself when nobody checks any more, seconds. */
const CANARY_TTL_SECONDS = 60;

/**
 * Redis check `info`: PING, ROLE and INFO on a persistent connection, and an opt-in canary write.
 * @throws ClusterduckError CONFIG_INVALID for options that its schema refuses.
 */
export function createInfoCheck(context: CheckContext, clock: Clock = systemClock): Check {
  const options = parseOptions(infoOptions, context.config);
  const session = new RedisSession(context, options, clock);
  const roundTrips = new RoundTrips();
  const ask = async (connection: RedisConnection): Promise<Finding> => {
    const startedAtMs = clock.monotonicMs();
    const finding = await look(connection, options);
    roundTrips.add(clock.monotonicMs() - startedAtMs);
    const facts = { ...finding.facts, round_trip_p99_ms: roundTrips.p99Text() };
    if (finding.outcome !== "passed" || options.canary === undefined || finding.facts?.role !== "primary") {
      return { ...finding, facts };
    }
    const answer = writeCanary(connection, options.canary, finding);
    const guarded = await guardWrites({ answer, session, clock, timeoutMs: context.config.timeoutMs });
    return { ...guarded, facts };
  };
  return {
    run: (signal) => session.run(signal, ask),
    close: () => session.close(),
  };
}

async function look(connection: RedisConnection, options: InfoOptions): Promise<Finding> {
  const [ping, role, info] = await Promise.allSettled([
    // INFO answers where PING says LOADING, MISCONF or MASTERDOWN, so both are asked.
    connection.send("PING", []),
    connection.send("ROLE", []),
    connection.send("INFO", []),
  ]);
  if (info.status === "rejected") throw info.reason;
  if (typeof info.value !== "string")
    throw new ConnectionError("protocol", "INFO answers with something else than text");
  const fields = parseInfo(info.value);
  const judged = judgeInfo(
    { role: roleOf(role, fields), fields, minReplicasToWrite: await minReplicas(connection, fields) },
    options,
  );
  if (judged.outcome !== "passed" || ping.status === "fulfilled") return judged;
  const complaint = findingOfError(ping.reason);
  // PING can be renamed; whoever answers INFO is alive.
  const isRenamed = complaint.outcome === "failed" && complaint.reason === "mismatch";
  return isRenamed
    ? judged
    : { ...complaint, ...(judged.facts === undefined ? {} : { facts: judged.facts }) };
}

function roleOf(reply: PromiseSettledResult<unknown>, fields: InfoFields): RedisRole {
  if (reply.status === "fulfilled") return parseRole(reply.value);
  if (reply.reason instanceof ReplyError) return roleFromInfo(fields);
  throw reply.reason;
}

/** INFO counts the good replicas where some are demanded, but does not say how many. */
async function minReplicas(connection: RedisConnection, fields: InfoFields): Promise<number | null> {
  if (numberOf(fields, "min_slaves_good_slaves") === undefined) return null;
  try {
    const reply = await connection.send("CONFIG", ["GET", "min-replicas-to-write"]);
    const value = Array.isArray(reply) ? Number(reply[1]) : NaN;
    return Number.isInteger(value) ? value : null;
  } catch (thrown) {
    // CONFIG is often forbidden; then only "none at all" is noticed.
    if (thrown instanceof ReplyError) return null;
    throw thrown;
  }
}

async function writeCanary(connection: RedisConnection, key: string, passed: Finding): Promise<Finding> {
  try {
    await connection.send("SET", [key, "clusterduck", "EX", String(CANARY_TTL_SECONDS)]);
    return passed;
  } catch (thrown) {
    if (!(thrown instanceof ReplyError)) throw thrown;
    return findingOfError(thrown);
  }
}

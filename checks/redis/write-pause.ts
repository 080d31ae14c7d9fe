import type { Clock } from "../../common/clock.js";
import type { Finding } from "./replies.js";
import type { RedisSession } from "./session.js";

/** Commands that CLIENT PAUSE WRITE holds back. Not all of Redis's: those that people check with. */
const WRITE_COMMANDS: ReadonlySet<string> = new Set(
  (
    "APPEND DECR DECRBY DEL EVAL EVALSHA EXPIRE FCALL GETDEL GETEX GETSET HDEL HINCRBY HMSET HSET INCR INCRBY " +
    "INCRBYFLOAT LPOP LPUSH LSET LTRIM MSET PERSIST PEXPIRE PFADD PSETEX PUBLISH RENAME RPOP RPUSH SADD SET " +
    "SETEX SETNX SETRANGE SPOP SREM UNLINK XADD XTRIM ZADD ZINCRBY ZREM"
  ).split(" "),
);
/** When to ask on another connection, and when to conclude: parts of the time limit. */
const LOOK_AT = 0.5;
const CONCLUDE_AT = 0.85;

/** @param name In upper case. */
export function isWriteCommand(name: string): boolean {
  return WRITE_COMMANDS.has(name);
}

/**
 * A server whose writes are paused (CLIENT PAUSE WRITE, as a failover does) leaves a SET unanswered, just as
 * a frozen one does. While the answer is overdue, a PING on another connection tells them apart.
 */
export async function guardWrites(options: {
  readonly answer: Promise<Finding>;
  readonly session: RedisSession;
  readonly clock: Clock;
  readonly timeoutMs: number;
}): Promise<Finding> {
  const { answer, session, clock, timeoutMs } = options;
  const settled = new AbortController();
  const paused = async (): Promise<Finding> => {
    await clock.sleep(timeoutMs * LOOK_AT, settled.signal);
    if (settled.signal.aborted) return answer;
    const isAlive = isAnswering(session);
    await clock.sleep(timeoutMs * (CONCLUDE_AT - LOOK_AT), settled.signal);
    const hasAnswered = await Promise.race([isAlive, Promise.resolve(false)]);
    if (settled.signal.aborted || !hasAnswered) return answer;
    return {
      outcome: "degraded",
      reason: "notWritable",
      detail: "writes get no reply, but PING on another connection does: are writes paused?",
    };
  };
  try {
    return await Promise.race([answer, paused()]);
  } finally {
    settled.abort();
  }
}

/** Never rejects. */
async function isAnswering(session: RedisSession): Promise<boolean> {
  const lease = session.lend();
  try {
    await lease.connection.open();
    await lease.connection.send("PING", []);
    return true;
  } catch {
    return false;
  } finally {
    lease.release();
  }
}

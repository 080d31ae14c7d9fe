import assert from "node:assert/strict";
import { test } from "node:test";
import type { Logger } from "../../common/logger.js";
import { VirtualClock } from "../../common/virtual-clock.js";
import type { MemberTrouble, PeerStatus } from "../log/replicated-log.js";
import { TierWatch } from "./tier-watch.js";

test("the leader tells a member's full disk once, though its words change, and that it is missing only when it stops reporting", async () => {
  const clock = new VirtualClock();
  const told: string[] = [];
  const tell = (event: string): void => void told.push(event);
  const logger = { debug: tell, info: tell, warn: tell, error: tell } as unknown as Logger;
  const peer = (id: string, silentMs: number): PeerStatus => ({
    id,
    role: "voter",
    address: "",
    silentMs,
    matchIndex: null,
  });
  let silentMs = 0;
  let trouble: MemberTrouble | null = null;
  const watch = new TierWatch({
    id: "c1",
    log: {
      leadership: () => ({ leaderId: "c1", term: 3, isLeader: true }),
      onLeadership: () => () => undefined,
      status: () => ({
        commitIndex: 1,
        firstIndex: 1,
        bytes: 0,
        peers: [peer("c1", 0), peer("c2", silentMs)],
      }),
    },
    clock,
    logger,
  });
  watch.hearTroubles((id) => (id === "c2" ? trouble : null));
  await clock.advance(10_000);

  silentMs = 60_000;
  for (let free = 0; free < 6; free++) {
    trouble = {
      kind: "disk-full",
      sinceMs: 5,
      message: `Its disk is full: ${free} bytes are free`,
      hint: "",
    };
    await clock.advance(1_000);
  }
  assert.deepEqual(told, ["tier.member_problem"]);
  trouble = null;
  await clock.advance(2_000);
  silentMs = 0;
  await clock.advance(2_000);

  assert.deepEqual(told, ["tier.member_problem", "tier.member_missing", "tier.member_back"]);
  watch.close();
});

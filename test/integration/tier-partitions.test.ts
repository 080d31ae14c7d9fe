/**
 * Five real coordinators on hosts (network namespaces) of their own, under partitions, loss, kills, pauses and a
 * full disk. SEED=7 draws other faults, SECONDS=600 goes on for longer; test/endurance/partitions-program.ts
 * does the same and shows each fault as it strikes.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { namespacesProblem } from "../support/netns.js";
import { HEALS_WITHIN_MS, runUnderFaults } from "../endurance/run.js";

const SEED = Number(process.env["SEED"] ?? "1");
const SECONDS = Number(process.env["SECONDS"] ?? "60");

const problem = await namespacesProblem();

test(
  "under partitions, kills and a full disk nothing acknowledged is lost, and what clients see is linearizable",
  { skip: problem ?? false },
  async (context) => {
    const struck: string[] = [];
    try {
      const report = await runUnderFaults({
        seed: SEED,
        durationMs: SECONDS * 1_000,
        tell: (line) => struck.push(line),
      });

      context.diagnostic(JSON.stringify(report));
      assert.ok(report.acknowledgedWrites > 0);
      assert.ok(report.comparedEntries > 0);
      assert.ok(report.takenByAllMs < HEALS_WITHIN_MS);
    } catch (thrown) {
      const command = `SEED=${SEED} SECONDS=${SECONDS} node --import tsx test/endurance/partitions-program.ts`;
      throw new Error(`repeat: ${command}\n${struck.join("\n")}`, { cause: thrown });
    }
  },
);

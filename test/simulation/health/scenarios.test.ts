/** Scenarios of the decision model, each with a seed. Replay one: SEED=7 node --import tsx --test FILE */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Simulation } from "./simulation.js";
import type { SimulationOptions } from "./simulation.js";

const REPLAY = process.env["SEED"];

function seeds(count: number): readonly number[] {
  return REPLAY === undefined ? Array.from({ length: count }, (_, index) => index + 1) : [Number(REPLAY)];
}

function replay(seed: number): string {
  return `seed ${seed}; replay: SEED=${seed} node --import tsx --test test/simulation/health/scenarios.test.ts`;
}

/** Runs until every node is healthy and the coordinator has heard a full round. */
function settled(options: SimulationOptions): Simulation {
  const simulation = new Simulation(options).runUntil(10_000);
  for (const service of simulation.services) {
    assert.equal(
      simulation.stateOf(service),
      "healthy",
      `${service.node.addr} at the start, ${replay(options.seed)}`,
    );
  }
  return simulation;
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

test("a killed service is down at once when its agent stands beside it", (context) => {
  const times: { supervised: number[]; refused: number[] } = { supervised: [], refused: [] };
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 5, agents: 2 });
    const [victim] = simulation.services;
    assert.ok(victim);

    simulation.kill(victim);
    simulation.runUntil(12_000);

    const [, death] = simulation.history(victim);
    assert.equal(death?.to, "down", replay(seed));
    assert.equal(death?.isConclusive, true, replay(seed));
    (victim.isSupervised ? times.supervised : times.refused).push(death.atMs - 10_000);
    assert.deepEqual(simulation.faults, [], replay(seed));
  }
  for (const [kind, values] of Object.entries(times)) {
    context.diagnostic(
      `${kind}: p50 ${percentile(values, 0.5).toFixed(0)} ms, p99 ${percentile(values, 0.99).toFixed(0)} ms`,
    );
  }
  if (REPLAY !== undefined) return;
  assert.ok(percentile(times.supervised, 0.99) < 40, `supervised p99 ${percentile(times.supervised, 0.99)}`);
  assert.ok(percentile(times.refused, 0.99) < 300, `refused p99 ${percentile(times.refused, 0.99)}`);
});

test("ten services that die together are one cut", () => {
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 50, agents: 5 });
    const cutsBefore = simulation.cuts.length;

    for (const victim of simulation.services.slice(0, 10)) {
      simulation.timeline.in(simulation.random() * 10, () => simulation.kill(victim));
    }
    simulation.runUntil(14_000);

    const cuts = simulation.cuts.slice(cutsBefore);
    const sizes = cuts.map((cut) => cut.transitions.length);
    assert.deepEqual(sizes, [10], replay(seed));
    assert.deepEqual(simulation.faults, [], replay(seed));
  }
});

test("a service that hangs is down within ten seconds, though its port is open", () => {
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 6, agents: seed % 2 === 0 ? 2 : 0 });
    const [victim] = simulation.services;
    assert.ok(victim);

    simulation.hang(victim);
    simulation.runUntil(20_000);

    assert.equal(simulation.stateOf(victim), "down", `${simulation.holdOf(victim)}; ${replay(seed)}`);
    assert.equal(simulation.history(victim).at(-1)?.isConclusive, false, replay(seed));
    assert.equal(simulation.history(victim).length, 2, replay(seed));
  }
});

test("killing an agent changes no service's state, and neither does its return", () => {
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 8, agents: 2 });
    const cutsBefore = simulation.cuts.length;
    simulation.lossRate = 0.005;

    simulation.killAgent("a0");
    simulation.runUntil(40_000);
    simulation.startAgent("a0");
    simulation.runUntil(70_000);

    assert.deepEqual(simulation.cuts.slice(cutsBefore), [], replay(seed));
  }
});

test("a host that loses power takes its services with it, seen by the coordinator's own probe", () => {
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 12, agents: 12 });
    const [victim] = simulation.services;
    assert.ok(victim);

    simulation.vanishAgent(simulation.agentOf(victim) ?? "", 5_000);
    simulation.hang(victim);
    simulation.runUntil(22_000);

    assert.deepEqual(
      simulation.history(victim).map((each) => each.to),
      ["healthy", "down"],
      replay(seed),
    );
  }
});

test("lost packets alone remove nobody", () => {
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 20, agents: 4, agentlessShare: 0.3 });
    const cutsBefore = simulation.cuts.length;
    // One check in fifty fails: far above what 10 % packet loss does to a persistent connection (0.08 %).
    simulation.lossRate = 0.02;

    simulation.runUntil(130_000);

    assert.deepEqual(simulation.cuts.slice(cutsBefore), [], replay(seed));
  }
});

test("when everything vanishes at once, timeouts remove no more than the budget", () => {
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 20, agents: 4, agentlessShare: 0.5 });

    simulation.services.forEach((service) => simulation.hang(service));
    simulation.runUntil(60_000);

    const removed = simulation.services.filter((service) => simulation.stateOf(service) === "down").length;
    assert.equal(removed, 6, replay(seed));
    assert.deepEqual(simulation.faults, [], replay(seed));
  }
});

test("a coordinator that is cut off from everything and knows it becomes unsure, and removes nobody", () => {
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 10, agents: 2, agentlessShare: 0.5 });

    simulation.cutOff.add("own");
    simulation.agents.forEach((agent) => simulation.killAgent(agent));
    simulation.doubt("own", 8);
    simulation.runUntil(60_000);

    for (const record of simulation.state.nodes.values()) {
      assert.equal(record.state, "unknown", replay(seed));
      assert.equal(record.heldState, "healthy", replay(seed));
    }
  }
});

test("an overloaded agent abstains: its failures remove nobody", () => {
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 6, agents: 1 });
    const cutsBefore = simulation.cuts.length;

    simulation.doubt("a0", 5);
    simulation.cutOff.add("a0");
    simulation.runUntil(60_000);

    assert.deepEqual(simulation.cuts.slice(cutsBefore), [], replay(seed));
  }
});

test("a coordinator that stands still for half a minute accuses nobody when it wakes", () => {
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 10, agents: 2, agentlessShare: 0.3 });
    const cutsBefore = simulation.cuts.length;

    simulation.stall(30_000);
    simulation.runUntil(60_000);

    assert.deepEqual(simulation.cuts.slice(cutsBefore), [], replay(seed));
  }
});

test("a flapping service soon stays away, and returns after at most four half-lives", () => {
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 6, agents: 2 });
    const [victim] = simulation.services;
    assert.ok(victim);

    let atMs = 10_000;
    for (let flap = 0; flap < 8; flap++) {
      simulation.kill(victim);
      simulation.runUntil((atMs += 4_000));
      assert.equal(simulation.stateOf(victim), "down", replay(seed));
      simulation.restore(victim);
      simulation.runUntil((atMs += 8_000));
    }
    const returns = simulation
      .history(victim)
      .filter((each) => each.from === "down" && each.to === "healthy");
    assert.equal(returns.length, 2, replay(seed));
    assert.match(simulation.holdOf(victim), /return is damped for another \d+ s/, replay(seed));

    simulation.runUntil(atMs + 240_000);
    assert.equal(simulation.stateOf(victim), "healthy", replay(seed));
  }
});

test("a wall clock that is set forward or back changes nothing", () => {
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 6, agents: 2 });
    const [victim] = simulation.services;
    assert.ok(victim);
    const cutsBefore = simulation.cuts.length;

    simulation.wallOffsetMs = seed % 2 === 0 ? 3_600_000 : -3_600_000;
    simulation.runUntil(40_000);
    assert.deepEqual(simulation.cuts.slice(cutsBefore), [], replay(seed));

    simulation.kill(victim);
    simulation.runUntil(41_000);
    assert.equal(simulation.stateOf(victim), "down", replay(seed));
    simulation.restore(victim);
    simulation.runUntil(50_000);
    assert.equal(simulation.stateOf(victim), "healthy", replay(seed));
  }
});

test("a service that only the coordinator cannot reach is routed around, and comes back", () => {
  for (const seed of seeds(20)) {
    const simulation = settled({ seed, nodes: 4, agents: 4 });
    const [victim] = simulation.services;
    assert.ok(victim);

    // The agent's doubt makes the coordinator look; it alone is cut off.
    simulation.cutOff.add("own");
    simulation.hang(victim);
    simulation.runUntil(10_600);
    simulation.restore(victim);
    simulation.runUntil(30_000);

    assert.ok(
      simulation.history(victim).every((each) => each.to !== "down"),
      replay(seed),
    );

    simulation.cutOff.delete("own");
    simulation.runUntil(60_000);
    assert.equal(simulation.stateOf(victim), "healthy", replay(seed));
  }
});

test("whatever happens: no false deaths, no missed ones, budgets kept, unknown removes nobody", () => {
  for (const seed of seeds(200)) {
    const simulation = new Simulation({
      seed,
      nodes: 4 + (seed % 9),
      agents: seed % 4,
      agentlessShare: 0.25,
      cluster: {
        policy: {
          quorum: "majority",
          isDampingEnabled: seed % 5 === 0,
          removalBudget: 0.34,
          panicThreshold: 0.5,
        },
      },
    });
    simulation.lossRate = 0.002;
    const faults = chaos(simulation, seed % 5 === 0 ? 270_000 : 30_000);

    assert.deepEqual([...simulation.faults, ...faults], [], replay(seed));
  }
});

/** A death is seen within this time, stalls of the coordinator included. Milliseconds. */
const DETECTED_MS = 12_000;
const CHAOS_STEPS = 12;
const CHAOS_STEP_MS = 5_000;
/** Nothing that was true this long ago may still be believed. Milliseconds. */
const MEMORY_MS = 12_000;

/** Random trouble, then peace; returns what went wrong. */
function chaos(simulation: Simulation, peaceMs: number): readonly string[] {
  const { random, services } = simulation;
  const troubledAtMs = new Map(services.map((service) => [service, Number.NEGATIVE_INFINITY]));
  const away = new Set<string>();
  const faults: string[] = [];
  simulation.runUntil(8_000);
  for (let step = 0; step < CHAOS_STEPS; step++) {
    const service = services[Math.floor(random() * services.length)];
    const agent = simulation.agents[Math.floor(random() * simulation.agents.length)];
    const dice = random();
    if (service !== undefined && dice < 0.25) simulation.kill(service);
    else if (service !== undefined && dice < 0.4) simulation.hang(service);
    else if (service !== undefined && dice < 0.6) simulation.restore(service);
    else if (agent !== undefined && dice < 0.7 && !away.has(agent)) {
      simulation.killAgent(agent);
      away.add(agent);
    } else if (agent !== undefined && dice < 0.8 && away.delete(agent)) simulation.startAgent(agent);
    else if (dice < 0.9) simulation.stall(random() * 3_000);
    else simulation.wallOffsetMs += (random() - 0.5) * 1e7;
    for (const each of services) {
      if (each.mode !== "answers") troubledAtMs.set(each, (step + 1) * CHAOS_STEP_MS + 8_000);
    }
    simulation.runUntil(8_000 + (step + 1) * CHAOS_STEP_MS);
    faults.push(...missedDeaths(simulation));
  }
  faults.push(...falseDeaths(simulation, troubledAtMs));
  const lastAtMs = simulation.timeline.nowMs;
  const unsure = simulation.cuts.filter((cut) => cut.transitions.some((each) => each.to === "unknown"));
  if (unsure.length > 0) faults.push(`nodes became unknown before ${lastAtMs} though somebody always looked`);
  for (const agent of away) simulation.startAgent(agent);
  simulation.services.forEach((each) => simulation.restore(each));
  simulation.runUntil(8_000 + CHAOS_STEPS * CHAOS_STEP_MS + peaceMs);
  for (const each of services) {
    if (simulation.stateOf(each) !== "healthy") {
      faults.push(`${each.node.addr} stays ${simulation.stateOf(each)}: ${simulation.holdOf(each)}`);
    }
  }
  return faults;
}

function falseDeaths(simulation: Simulation, troubledAtMs: ReadonlyMap<object, number>): string[] {
  return simulation.services.flatMap((service) =>
    simulation
      .history(service)
      .filter((each) => each.to === "down" && (troubledAtMs.get(service) ?? 0) + MEMORY_MS < each.atMs)
      .map((each) => `${service.node.addr} went down at ${each.atMs} though it answered`),
  );
}

/** Dead for long and still in use, although no budget protects it. */
function missedDeaths(simulation: Simulation): string[] {
  return simulation.services
    .filter((each) => each.mode !== "answers" && simulation.timeline.nowMs - each.changedAtMs > DETECTED_MS)
    .filter((each) => simulation.stateOf(each) === "healthy")
    .filter((each) => !/removal (budget|rate) of cluster|hear everybody/.test(simulation.holdOf(each)))
    .map((each) => `${each.node.addr} is ${each.mode}, not down: "${simulation.holdOf(each)}"`);
}

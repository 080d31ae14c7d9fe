import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterduckError } from "../common/errors.js";
import { explainUnreachable } from "./explain-unreachable.js";

const START = "start one with `duck-coordinator`, or name it with --server HOST:PORT or DUCK_SERVER";
const unreachable = (message: string) => new ClusterduckError("UNREACHABLE", message);
const REFUSED = unreachable("Cannot reach a:1: connect ECONNREFUSED 10.0.0.1:1");
const UNNAMED = unreachable("Cannot reach b:1: Name resolution failed for target dns:b:1");

/** What is said of `thrown`, which the newest calls at these servers have met. */
function explained(thrown: unknown, met: Readonly<Record<string, unknown>>) {
  const servers = Object.keys(met);
  const failures = new Map(Object.entries(met).filter(([, failure]) => failure !== undefined));
  const error = explainUnreachable(thrown, { servers, failures, timeoutMs: 30_000 });
  assert.ok(error instanceof ClusterduckError);
  const { code, message, hint } = error;
  return { code, message, hint };
}

test("servers that all refuse connections are named together, with the reason once", () => {
  assert.deepEqual(explained(REFUSED, { "a:1": REFUSED, "b:1": REFUSED }), {
    code: "UNREACHABLE",
    message: "Cannot reach a coordinator at a:1, b:1: connection refused",
    hint: START,
  });
});

test("servers that fail in different ways have their own reasons, those of an answer in full", () => {
  const other = new ClusterduckError("NOT_LEADER", "nobody leads at the moment");

  const { message } = explained(UNNAMED, { "a:1": REFUSED, "b:1": UNNAMED, "c:1": other });

  assert.equal(
    message,
    "Cannot reach a coordinator: a:1: connection refused; b:1: the host's name is not known; c:1: nobody leads at the moment",
  );
});

test("a connection that breaks names the server at which it did, and no other", () => {
  const broken = unreachable("Cannot reach b:1: read ECONNRESET");

  const { message } = explained(broken, { "a:1": REFUSED, "b:1": broken });

  assert.equal(message, "Cannot reach a coordinator at b:1: what listens there does not speak gRPC");
});

test("a failure in unknown words at an unknown server names all servers, and gives no reason", () => {
  const { message, hint } = explained(unreachable("odd"), { "a:1": undefined, "b:1": undefined });

  assert.equal(message, "Cannot reach a coordinator at a:1, b:1");
  assert.equal(hint, START);
});

test("an answer that is late says how long it was waited for, and how to wait longer", () => {
  const late = new ClusterduckError("TIMED_OUT", "No answer from b:1 in time");

  assert.deepEqual(explained(late, { "a:1": undefined, "b:1": late }), {
    code: "TIMED_OUT",
    message: "No answer from b:1 within 30s",
    hint: "give it longer with --timeout, as in --timeout 30s",
  });
});

test("what a server says, and what has a hint already, is left as it is", () => {
  const attempts = { servers: ["a:1"], failures: new Map(), timeoutMs: 1_000 };
  const refusal = new ClusterduckError("CONFLICT", "no");
  const hinted = new ClusterduckError("UNREACHABLE", "Cannot reach a:1: x", { hint: "do y" });
  const bug = new TypeError("x is undefined");

  for (const each of [refusal, hinted, bug]) assert.equal(explainUnreachable(each, attempts), each);
});

for (const [words, reason] of Object.entries({
  "connect ENOENT /run/duck.sock": "there is no such socket",
  "connect EACCES /run/duck.sock": "permission denied",
  "connect EHOSTUNREACH 10.0.0.1:1": "the host does not answer",
  "no connection within 5 ms": "the host does not answer",
  "what listens there does not speak gRPC; it may be": "what listens there does not speak gRPC",
})) {
  test(`"${words}" is told as "${reason}"`, () => {
    const { message } = explained(unreachable(words), { "a:1": undefined });

    assert.equal(message, `Cannot reach a coordinator at a:1: ${reason}`);
  });
}

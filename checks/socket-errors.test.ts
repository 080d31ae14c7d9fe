import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { ClusterduckError } from "../common/errors.js";
import { freePort } from "../test/support/free-port.js";
import { observationOfError, reasonOfError } from "./socket-errors.js";

function coded(code: string, message = code): Error {
  return Object.assign(new Error(message), { code });
}

test("a refused connection of the real network stack is refused, with the address in the detail", async () => {
  const port = await freePort();
  const error = await new Promise<Error>((resolve) => connect(port, "127.0.0.1").once("error", resolve));

  const found = reasonOfError(error);

  assert.equal(found.reason, "refused");
  assert.equal(found.isObserverFault, false);
  assert.match(found.detail, new RegExp(`127\\.0\\.0\\.1:${port}`));
});

test("codes of sockets, TLS, HTTP parser and undici each have their reason", () => {
  const expected = {
    EHOSTUNREACH: "unreachable",
    ETIMEDOUT: "timedOut",
    ECONNRESET: "reset",
    ENOTFOUND: "dns",
    CERT_HAS_EXPIRED: "certificateExpiry",
    ERR_TLS_CERT_ALTNAME_INVALID: "tls",
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: "tls",
    HPE_INVALID_CONSTANT: "protocol",
    UND_ERR_SOCKET: "closed",
    UND_ERR_HEADERS_OVERFLOW: "tooLarge",
  };

  const found = Object.fromEntries(
    Object.keys(expected).map((code) => [code, reasonOfError(coded(code)).reason]),
  );

  assert.deepEqual(found, expected);
});

test("the code of a cause counts, and its text stays in the detail", () => {
  const error = new Error("fetch failed", { cause: coded("ECONNRESET", "read ECONNRESET") });

  assert.deepEqual(reasonOfError(error), {
    reason: "reset",
    detail: "fetch failed: read ECONNRESET",
    isObserverFault: false,
  });
});

test("of several addresses, refused counts only when all of them refused", () => {
  const mixed = new AggregateError([coded("ECONNREFUSED"), coded("ETIMEDOUT")]);
  const all = new AggregateError([coded("ECONNREFUSED"), coded("ECONNREFUSED")]);

  assert.equal(reasonOfError(mixed).reason, "timedOut");
  assert.equal(reasonOfError(all).reason, "refused");
});

test("a fault of the observer is inconclusive, whatever caused it", () => {
  const unreadable = new ClusterduckError("CONFIG_UNREADABLE", 'Cannot read password_file "/x"', {
    cause: coded("ENOENT"),
  });

  for (const error of [unreadable, coded("EMFILE"), coded("EAI_AGAIN"), new TypeError("a bug")]) {
    assert.equal(observationOfError(error, 1).outcome, "inconclusive", String(error));
  }
  assert.equal(observationOfError(coded("ECONNREFUSED"), 1).outcome, "failed");
});

test("an aborted wait is a timeout", () => {
  assert.equal(reasonOfError(AbortSignal.abort().reason).reason, "timedOut");
  assert.equal(reasonOfError(new DOMException("too slow", "TimeoutError")).reason, "timedOut");
});

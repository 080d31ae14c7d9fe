import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerReader } from "./answer-reader.js";
import { HeadersTooLargeError, ProtocolError } from "./http-errors.js";
import { fc } from "../../test/support/properties.js";

type Seen = {
  status: number;
  location: string | null;
  keepAliveMs: number | null;
  body: string;
  /** Null: the answer has not ended. */
  isReusable: boolean | null;
  problem: string;
};

/** What is read of chunks of an answer; `isClosed`: the server closes after the last. */
function read(chunks: readonly Buffer[], { method = "GET", isClosed = false } = {}): Seen {
  const seen: Seen = {
    status: 0,
    location: null,
    keepAliveMs: null,
    body: "",
    isReusable: null,
    problem: "",
  };
  const reader = new AnswerReader(method, {
    onHead: (head) => Object.assign(seen, head),
    onBody: (bytes) => (seen.body += bytes.toString("latin1")),
    onEnd: (isReusable) => (seen.isReusable = isReusable),
  });
  const shared = Buffer.alloc(64 * 1024);
  try {
    for (const chunk of chunks) {
      // As a socket does: the next chunk overwrites this one.
      chunk.copy(shared);
      reader.push(shared.subarray(0, chunk.length));
      shared.fill(0x78, 0, chunk.length);
    }
    if (isClosed) reader.close();
  } catch (thrown) {
    assert.ok(thrown instanceof ProtocolError || thrown instanceof HeadersTooLargeError, String(thrown));
    seen.problem = `${thrown.name}: ${thrown.message}`;
  }
  return seen;
}

function cut(text: string, cuts: readonly number[]): readonly Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  const bounds = [...new Set([0, ...cuts.map((at) => at % (bytes.length + 1)), bytes.length])];
  bounds.sort((a, b) => a - b);
  return bounds.slice(1).map((end, index) => bytes.subarray(bounds[index], end));
}

const anyCuts = fc.array(fc.nat(), { maxLength: 12 });
const anyBody = fc.oneof(
  fc.string({ unit: fc.constantFrom("a", "\r", "\n", "0", "\r\n\r\n", "HTTP/1.1 "), maxLength: 60 }),
);

/** A body as each framing writes it. */
const FRAMINGS = {
  sized: (body: string) => `Content-Length: ${body.length}\r\n\r\n${body}`,
  chunked: (body: string) => {
    const [one, two] = [body.slice(0, body.length / 3), body.slice(body.length / 3)];
    const chunks = [one, two].filter((chunk) => chunk !== "");
    const text = chunks.map((chunk) => `${chunk.length.toString(16)};x="y"\r\n${chunk}\r\n`).join("");
    return `Transfer-Encoding: chunked\r\n\r\n${text}0\r\nX-Trailer: 1\r\n\r\n`;
  },
  untilClose: (body: string) => `X-Other: 1\r\n\r\n${body}`,
};

for (const [name, frame] of Object.entries(FRAMINGS)) {
  test(`an answer whose body is framed as ${name} is read as it was sent, however it is cut`, () => {
    fc.assert(
      fc.property(anyBody, fc.integer({ min: 200, max: 203 }), anyCuts, (body, status, cuts) => {
        const interim = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
        const head = `HTTP/1.1 ${status} OK\r\nKeep-Alive: timeout=5, max=7\r\nLocation: /a:b\r\n`;

        const seen = read(cut(interim + head + frame(body), cuts), { isClosed: name === "untilClose" });

        assert.deepEqual(seen, {
          status,
          location: "/a:b",
          keepAliveMs: 5_000,
          body,
          isReusable: name !== "untilClose",
          problem: "",
        });
      }),
    );
  });
}

test("answers that have no body end with their headers, whatever those announce", () => {
  const ok = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";

  assert.equal(read([Buffer.from(ok)], { method: "HEAD" }).isReusable, true);
  for (const status of [204, 304]) {
    assert.equal(read([Buffer.from(ok.replace("200", String(status)))]).isReusable, true);
  }
});

test("a connection is kept as its version and its headers say", () => {
  const kept = (head: string): boolean | null =>
    read([Buffer.from(`${head}\r\nContent-Length: 0\r\n\r\n`)]).isReusable;

  assert.equal(kept("HTTP/1.1 200 OK"), true);
  assert.equal(kept("HTTP/1.1 200"), true);
  assert.equal(kept("HTTP/1.1 200 OK\r\nconnection: Close"), false);
  assert.equal(kept("HTTP/1.1 200 OK\r\nConnection: x-hop, close"), false);
  assert.equal(kept("HTTP/1.0 200 OK"), false);
  assert.equal(kept("HTTP/1.0 200 OK\r\nConnection: keep-alive"), true);
});

test("an answer cut short by a close has not ended", () => {
  for (const text of ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour"]) {
    assert.equal(read([Buffer.from(text)], { isClosed: true }).isReusable, null);
  }
});

test("what is no answer is refused, however it is cut, and without waiting for more of it", () => {
  const ok = "HTTP/1.1 200 OK\r\n";
  const bad: Readonly<Record<string, RegExp>> = {
    "SSH-2.0-OpenSSH_9.2\r\n": /^ProtocolError: .*not HTTP/,
    "HTTP/2 200\r\n\r\n": /^ProtocolError/,
    "HTTP/1.1 abc\r\n\r\n": /^ProtocolError/,
    "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n": /^ProtocolError/,
    [`${ok}no colon\r\n\r\n`]: /^ProtocolError: .*no header/,
    [`${ok}a: 1\r\n folded\r\n\r\n`]: /^ProtocolError/,
    [`${ok}Content-Length : 3\r\n\r\nabc`]: /^ProtocolError/,
    [`${ok}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`]: /^ProtocolError: Content-Length/,
    [`${ok}Content-Length: -3\r\n\r\n`]: /^ProtocolError: Content-Length/,
    [`${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`]: /^ProtocolError: Transfer-Encoding/,
    [`${ok}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`]: /^ProtocolError: a chunk/,
    [`${ok}Transfer-Encoding: chunked\r\n\r\n1\r\nabc0\r\n\r\n`]: /^ProtocolError: a chunk/,
    [`${ok}Content-Length: 1\r\n\r\nab`]: /^ProtocolError: .*more than its answer/,
    [`${ok}X: ${"y".repeat(20_000)}\r\n\r\n`]: /^HeadersTooLargeError/,
  };
  for (const [text, expected] of Object.entries(bad)) {
    fc.assert(
      fc.property(anyCuts, (cuts) => {
        assert.match(read(cut(text, cuts)).problem, expected);
      }),
      { numRuns: 25 },
    );
  }
});

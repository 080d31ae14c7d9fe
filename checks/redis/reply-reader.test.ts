import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionError } from "./connection-error.js";
import { encodeCommand } from "./encode-command.js";
import { MAX_REPLY_BYTES, ReplyError, ReplyReader, type Reply } from "./reply-reader.js";
import { fc } from "../../test/support/properties.js";

function read(chunks: readonly Buffer[]): readonly Reply[] {
  const replies: Reply[] = [];
  const reader = new ReplyReader((reply) => replies.push(reply));
  const shared = Buffer.alloc(MAX_REPLY_BYTES);
  for (const chunk of chunks) {
    // As a socket does: the next chunk overwrites this one.
    chunk.copy(shared);
    reader.push(shared.subarray(0, chunk.length));
    shared.fill(0x78, 0, chunk.length);
  }
  return replies;
}

function problemWith(chunks: readonly Buffer[]): string {
  try {
    read(chunks);
  } catch (thrown) {
    assert.ok(thrown instanceof ConnectionError);
    return `${thrown.kind}: ${thrown.message}`;
  }
  return "none";
}

/** The same bytes in pieces that end where `cuts` say. */
function cut(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const bounds = [...new Set([0, ...cuts.map((at) => at % (bytes.length + 1)), bytes.length])];
  bounds.sort((a, b) => a - b);
  return bounds.slice(1).map((end, index) => bytes.subarray(bounds[index], end));
}

/** A reply as a server writes it. */
function encode(reply: Reply): string {
  if (reply === null) return "$-1\r\n";
  if (typeof reply === "number") return `:${reply}\r\n`;
  if (typeof reply === "string") return `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`;
  if (reply instanceof ReplyError) return `-${reply.message}\r\n`;
  return `*${reply.length}\r\n${reply.map(encode).join("")}`;
}

const { reply: anyReply } = fc.letrec<{ reply: Reply }>((tie) => ({
  reply: fc.oneof(
    { maxDepth: 3 },
    fc.constant(null),
    fc.integer(),
    fc.string({ unit: "binary" }),
    fc.constantFrom("", "\r\n", "$5\r\nhe"),
    fc.constantFrom("LOADING", "ERR *9999999").map((text) => new ReplyError(text)),
    fc.array(tie("reply"), { maxLength: 4 }),
  ),
}));
const anyCuts = fc.array(fc.nat(), { maxLength: 12 });

test("replies are read as they were written, however they are cut", () => {
  fc.assert(
    fc.property(fc.array(anyReply, { maxLength: 5 }), anyCuts, (replies, cuts) => {
      assert.deepEqual(read(cut(Buffer.from(replies.map(encode).join("")), cuts)), replies);
    }),
  );
});

test("a status is a text, and absent values and absent arrays are nil", () => {
  assert.deepEqual(read([Buffer.from("+PONG\r\n$-1\r\n*-1\r\n*0\r\n:-7\r\n")]), ["PONG", null, null, [], -7]);
});

test("whatever arrives is read or refused, and never anything else", () => {
  const bytes = fc.oneof(
    fc.uint8Array(),
    fc
      .string({ unit: fc.constantFrom("*", "$", ":", "+", "-", "1", "9", "\r\n", "x") })
      .map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(bytes, anyCuts, (garbage, cuts) => {
      assert.match(problemWith(cut(Buffer.from(garbage), cuts)), /^(none|protocol|tooLarge)/);
    }),
  );
});

test("what no server may send is refused however it is cut: huge arrays, deep ones, other protocols", () => {
  const bad = {
    "+OK\r\n*2\r\n*30000000\r\n": /^protocol: .*million elements/,
    ["*1\r\n".repeat(100)]: /^protocol: .*deep/,
    "HTTP/1.1 400 Bad Request\r\n": /^protocol: .*"H/,
    "$abc\r\n": /^protocol/,
    "$2\r\nlong\r\n": /^protocol: .*length/,
    "+OK\rx": /^protocol/,
    ["+".padEnd(70_000, "x")]: /^protocol: .*without an end/,
    "$999999999\r\n": /^tooLarge/,
  };
  for (const [text, expected] of Object.entries(bad)) {
    fc.assert(
      fc.property(anyCuts, (cuts) => {
        assert.match(problemWith(cut(Buffer.from(text), cuts)), expected);
      }),
      { numRuns: 20 },
    );
  }
});

test("more bytes than one run may receive are refused, and a new run counts from zero", () => {
  const reader = new ReplyReader(() => undefined);
  const full = Buffer.from("+OK\r\n".repeat(Math.floor(MAX_REPLY_BYTES / 5)));

  reader.push(full);
  reader.resetLimit();
  reader.push(full);

  assert.throws(() => reader.push(full), { name: "ConnectionError", kind: "tooLarge" });
});

test("a command is written with the length of each word in bytes", () => {
  assert.equal(encodeCommand("SET", ["ключ", ""]).toString(), "*3\r\n$3\r\nSET\r\n$8\r\nключ\r\n$0\r\n\r\n");
});

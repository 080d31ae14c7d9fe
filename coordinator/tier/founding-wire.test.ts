import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { FoundingViewSchema } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import { decodeView, encodeView } from "./founding-wire.js";
import type { FoundingView } from "./founding.js";

const viewOf = (address: string): FoundingView => {
  const self = { id: "c1", address, diskId: "d1" };
  return { self, expect: 3, known: [self], promised: [self], clusterId: "", members: [] };
};
const told = (address: string): FoundingView =>
  decodeView(create(FoundingViewSchema, encodeView(viewOf(address), "1")));

test("an address of a founder has one spelling, however it was written", () => {
  assert.deepEqual(told("[0:0:0::1]:9910"), viewOf("[::1]:9910"));
  assert.deepEqual(told("Host-A:9910"), viewOf("host-a:9910"));
});

test("a founder whose address is none is refused, with what an address looks like", () => {
  assert.throws(() => told("c1.example"), {
    code: "INVALID_ARGUMENT",
    message: /Invalid address "c1.example": expected host:port/,
  });
});

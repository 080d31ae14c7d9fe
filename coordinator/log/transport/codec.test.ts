import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { fc, runs } from "../../../test/support/properties.js";
import { ClusterduckError } from "../../../common/errors.js";
import { RaftEnvelopeSchema, RaftMessageSchema } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { ProposalRefusal } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { Entry, Position } from "../../raft/entry.js";
import { encodeMembership } from "../../raft/membership.js";
import type { Member, Membership } from "../../raft/membership.js";
import type { Message, MessageBody } from "../../raft/message.js";
import { decodeEnvelope, decodeEnvelopeBytes, encodeEnvelopeBytes } from "./codec.js";

const index = fc.oneof(fc.nat(5), fc.nat(), fc.constant(Number.MAX_SAFE_INTEGER - 10));
const positiveIndex = index.map((value) => value + 1);
const position: fc.Arbitrary<Position> = fc.oneof(
  fc.constant({ index: 0, term: 0 }),
  fc.record({ index: positiveIndex, term: positiveIndex }),
);
const id = fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" });
const request = fc.record({ client: id, sequence: index });
const payload = fc.uint8Array({ maxLength: 50 });
const member: fc.Arbitrary<Member> = fc.record({
  id,
  role: fc.constantFrom("voter", "learner"),
  address: fc.string(),
});
const membership: fc.Arbitrary<Membership> = fc
  .uniqueArray(member, { selector: (each) => each.id, maxLength: 5 })
  .map((members) => members.sort((left, right) => (left.id < right.id ? -1 : 1)));
const append = fc
  .record({
    previous: fc.oneof(
      fc.constant({ index: 0, term: 0 }),
      fc.record({ index: fc.integer({ min: 1, max: 1e9 }), term: fc.integer({ min: 1, max: 1e9 }) }),
    ),
    wishes: fc.array(
      fc.record({
        growth: fc.oneof(fc.constant(0), fc.nat(3)),
        kind: fc.constantFrom<Entry["kind"]>("command", "noop", "members"),
        payload,
        members: membership,
      }),
      { maxLength: 20 },
    ),
    commit: index,
    quiet: fc.constantFrom({}, { isQuiet: true }),
  })
  .map(({ previous, wishes, commit, quiet }): MessageBody => {
    let term = Math.max(1, previous.term);
    const entries = wishes.map((wish, at): Entry => {
      term += wish.growth;
      const content = wish.kind === "members" ? encodeMembership(wish.members) : wish.payload;
      return { index: previous.index + 1 + at, term, kind: wish.kind, payload: content };
    });
    return { kind: "append", previous, entries, commit, ...quiet };
  });
const body: fc.Arbitrary<MessageBody> = fc.oneof(
  append,
  fc.record({ kind: fc.constant("preVote" as const), last: position }),
  fc.record({ kind: fc.constant("preVoteReply" as const), askedTerm: index, isGranted: fc.boolean() }),
  fc.record({ kind: fc.constant("vote" as const), last: position, isTransfer: fc.boolean() }),
  fc.record({ kind: fc.constant("voteReply" as const), isGranted: fc.boolean() }),
  fc.record({
    kind: fc.constant("appendReply" as const),
    isAccepted: fc.constant(true as const),
    match: index,
  }),
  fc.record({
    kind: fc.constant("appendReply" as const),
    isAccepted: fc.constant(false as const),
    rejected: index,
    hint: fc.oneof(position, fc.record({ index, term: fc.constant(0) })),
  }),
  fc.record({ kind: fc.constant("heartbeat" as const), round: index }),
  fc.record({ kind: fc.constant("heartbeatReply" as const), round: index, commit: index }),
  fc.record({
    kind: fc.constant("installSnapshot" as const),
    last: fc.record({ index: positiveIndex, term: positiveIndex }),
    membership,
  }),
  fc.record({ kind: fc.constant("timeoutNow" as const) }),
  fc.record({ kind: fc.constant("readIndex" as const), request }),
  fc.record({ kind: fc.constant("readIndexReply" as const), request, index: fc.option(index) }),
  fc.record({ kind: fc.constant("propose" as const), request, payload }),
  fc.record({
    kind: fc.constant("proposeReply" as const),
    request,
    outcome: fc.oneof(
      fc.record({ kind: fc.constant("appended" as const), position }),
      fc.record({
        kind: fc.constant("refused" as const),
        reason: fc.constantFrom("notLeader", "transferring", "tooManyUncommitted"),
      }),
    ),
  }),
);

test("every message comes out of the codec as it went in", () => {
  const property = fc.property(
    fc.array(fc.tuple(index, body), { maxLength: 5 }),
    fc.string(),
    (each, name) => {
      // Cloned, as fast-check makes some objects without a prototype.
      const messages = each.map(([term, content]): Message => ({
        from: "c1",
        to: "c2",
        term,
        ...structuredClone(content),
      }));
      const envelope = { clusterId: name, incarnation: `of ${name}`, from: "c1", to: "c2", messages };

      assert.deepEqual(decodeEnvelopeBytes(encodeEnvelopeBytes(envelope)), { ...envelope, unknownKinds: [] });
    },
  );

  fc.assert(property, runs(500));
});

test("bytes that anything may have made are decoded or refused as INVALID_ARGUMENT", () => {
  const property = fc.property(fc.tuple(index, body), fc.nat(), fc.nat(255), ([term, content], at, value) => {
    const messages: readonly Message[] = [{ from: "c1", to: "c2", term, ...content }];
    const bytes = encodeEnvelopeBytes({ clusterId: "t", from: "c1", to: "c2", messages });
    bytes[at % bytes.length] = value;

    try {
      decodeEnvelopeBytes(bytes);
    } catch (thrown) {
      assert.ok(thrown instanceof ClusterduckError && thrown.code === "INVALID_ARGUMENT", String(thrown));
    }
  });

  fc.assert(property, runs(2_000));
});

const SOME = { index: 3n, term: 2n };
type WireBody = NonNullable<MessageInitShape<typeof RaftMessageSchema>["body"]>;

const MALFORMED: readonly (readonly [string, WireBody | undefined, RegExp])[] = [
  ["no kind", undefined, /of no kind/],
  ["no position", { case: "vote", value: {} }, /last entry of a vote is missing/],
  ["half a position", { case: "preVote", value: { last: { index: 4n } } }, /index 4 and term 0/],
  ["an entry of term 0", appendOf([{ term: 0n, kind: 1, payloads: [new Uint8Array()] }]), /has term 0/],
  ["a term that goes back", appendOf([{ term: 1n, kind: 1, payloads: [new Uint8Array()] }]), /at least 2/],
  ["an unknown entry", appendOf([{ term: 2n, kind: 9, payloads: [new Uint8Array()] }]), /of kind 9/],
  ["members that are none", appendOf([{ term: 2n, kind: 3, payloads: [new Uint8Array([1])] }]), /holds none/],
  ["a number too large", { case: "heartbeat", value: { round: 2n ** 60n } }, /at most 9007199254740991/],
  ["no outcome", { case: "appendReply", value: {} }, /neither accepts nor rejects/],
  ["no outcome", { case: "proposeReply", value: { request: { client: "c" } } }, /neither takes nor refuses/],
  [
    "an unknown refusal",
    {
      case: "proposeReply",
      value: { request: { client: "c" }, outcome: { case: "refused", value: 7 as ProposalRefusal } },
    },
    /reason 7/,
  ],
  ["no request", { case: "readIndex", value: {} }, /request's name is missing/],
  ["a snapshot of nothing", { case: "installSnapshot", value: { last: {} } }, /snapshot of no entries/],
  [
    "a member twice",
    {
      case: "installSnapshot",
      value: { last: SOME, members: [memberOf("a", 1), memberOf("a", 2)] },
    },
    /named twice/,
  ],
  [
    "an unknown role",
    { case: "installSnapshot", value: { last: SOME, members: [memberOf("a", 5)] } },
    /role 5/,
  ],
];

test("a message that does not fit is refused with what is wrong", () => {
  for (const [what, wireBody, expected] of MALFORMED) {
    const message = wireBody === undefined ? { term: 2n } : { term: 2n, body: wireBody };
    const wire = create(RaftEnvelopeSchema, { from: "c1", to: "c2", messages: [message] });

    assert.throws(() => decodeEnvelope(wire), { code: "INVALID_ARGUMENT", message: expected }, what);
  }
});

test("a message of a kind that only newer versions know is left out, and nothing else", () => {
  const newer = create(RaftMessageSchema, { term: 2n });
  newer.$unknown = [{ no: 77, wireType: WireType.LengthDelimited, data: new Uint8Array([0]) }];
  const known = create(RaftMessageSchema, { term: 2n, body: { case: "heartbeat", value: { round: 1n } } });
  const wire = create(RaftEnvelopeSchema, { from: "c1", to: "c2", messages: [newer, known, newer] });

  const { messages, unknownKinds } = decodeEnvelopeBytes(toBinary(RaftEnvelopeSchema, wire));

  assert.deepEqual(unknownKinds, [77, 77]);
  assert.deepEqual(
    messages.map(({ kind }) => kind),
    ["heartbeat"],
  );
});

test("an envelope without sender or receiver is refused", () => {
  const wires = [{ to: "c2" }, { from: "c1" }, { from: "c1", to: "c1" }];

  for (const wire of wires) {
    assert.throws(() => decodeEnvelope(create(RaftEnvelopeSchema, wire)), { code: "INVALID_ARGUMENT" });
  }
  assert.throws(() => decodeEnvelope(undefined), { code: "INVALID_ARGUMENT" });
});

function appendOf(runs: readonly { term: bigint; kind: number; payloads: Uint8Array[] }[]): WireBody {
  return { case: "append", value: { previous: SOME, runs: [...runs] } };
}

function memberOf(name: string, role: number): { id: string; role: number; address: string } {
  return { id: name, role, address: "" };
}

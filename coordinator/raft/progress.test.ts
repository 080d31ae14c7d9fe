import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Progress } from "./progress.js";

const LIMITS = { maxMessages: 2, maxBytes: 1000 };

describe("a peer whose log is not known", () => {
  test("is asked by one append at a time", () => {
    const progress = new Progress(11, LIMITS);

    assert.equal(progress.wantsAppend(12, 10), true);
    progress.sentAppend(12, 100, 10);

    assert.equal(progress.wantsAppend(12, 10), false);
    assert.equal(progress.next, 11);
  });

  test("is asked again when a heartbeat's answer shows that it is there", () => {
    const progress = new Progress(11, LIMITS);
    progress.sentAppend(12, 100, 10);

    progress.answeredHeartbeat(1, 0, 12, 10);

    assert.equal(progress.wantsAppend(12, 10), true);
  });

  test("gets what it may agree with after it has said no", () => {
    const progress = new Progress(11, LIMITS);
    progress.sentAppend(12, 100, 10);

    progress.rejected(10, 6);

    assert.deepEqual([progress.state, progress.next, progress.wantsAppend(12, 10)], ["probe", 6, true]);
  });

  test("is not set back by an answer to another question", () => {
    const progress = new Progress(11, LIMITS);
    progress.rejected(10, 6);
    progress.sentAppend(12, 100, 10);

    progress.rejected(10, 3);

    assert.deepEqual([progress.next, progress.wantsAppend(12, 10)], [6, false]);
  });

  test("gets a stream of appends once it agrees", () => {
    const progress = new Progress(11, LIMITS);

    progress.accepted(10, 0);

    assert.deepEqual([progress.state, progress.match, progress.next], ["replicate", 10, 11]);
  });
});

describe("a peer whose log agrees", () => {
  const agreeing = (): Progress => {
    const progress = new Progress(11, LIMITS);
    progress.accepted(10, 0);
    progress.sentAppend(10, 0, 10);
    return progress;
  };

  test("gets entries without waiting, until too many are on their way", () => {
    const progress = agreeing();

    progress.sentAppend(11, 10, 10);
    assert.equal(progress.wantsAppend(13, 10), true);
    progress.sentAppend(12, 10, 10);

    assert.deepEqual([progress.next, progress.hasRoom, progress.wantsAppend(13, 10)], [13, false, false]);
    progress.accepted(11, 0);
    assert.equal(progress.wantsAppend(13, 10), true);
  });

  test("is told of a new commit index once", () => {
    const progress = agreeing();
    assert.equal(progress.wantsAppend(10, 10), false);
    progress.sentAppend(11, 10, 10);
    assert.equal(progress.wantsAppend(11, 11), true);

    progress.sentAppend(11, 0, 11);

    assert.equal(progress.wantsAppend(11, 11), false);
  });

  test("is checked after a heartbeat's answer when it lacks something, even when too much is on its way", () => {
    const progress = agreeing();
    progress.sentAppend(11, 10, 10);
    progress.sentAppend(12, 10, 10);

    progress.answeredHeartbeat(1, 10, 12, 10);

    assert.deepEqual([progress.wantsAppend(12, 10), progress.hasRoom], [true, false]);
    progress.sentAppend(12, 0, 10);
    assert.equal(progress.wantsAppend(12, 10), false);
  });

  test("is told again of a commit index that it does not know", () => {
    const progress = agreeing();

    progress.answeredHeartbeat(1, 9, 10, 10);
    assert.equal(progress.wantsAppend(10, 10), true);
    progress.sentAppend(10, 0, 10);
    progress.answeredHeartbeat(2, 10, 10, 10);

    assert.equal(progress.wantsAppend(10, 10), false);
  });

  test("is asked again from what it has when something was lost", () => {
    const progress = agreeing();
    progress.sentAppend(11, 10, 10);
    progress.sentAppend(12, 10, 10);

    progress.rejected(12, 11);

    assert.deepEqual([progress.state, progress.next, progress.inflightMessages], ["probe", 11, 0]);
  });

  test("is never asked from before what it has acknowledged", () => {
    const progress = agreeing();
    progress.sentAppend(12, 10, 10);

    progress.rejected(12, 3);

    assert.equal(progress.next, 11);
  });

  test("that denies what it acknowledged is marked, and not asked in a circle", () => {
    const progress = agreeing();
    progress.sentAppend(10, 0, 10);

    progress.rejected(10, 1);

    assert.deepEqual([progress.hasForgotten, progress.next], [true, 11]);
    assert.equal(progress.wantsAppend(10, 10), false);
  });

  test("is asked anew when the transport has lost what was on its way", () => {
    const progress = agreeing();
    progress.sentAppend(12, 10, 10);

    progress.unreachable();

    assert.deepEqual([progress.state, progress.next], ["probe", 11]);
  });

  test("never goes back for an acknowledgement that was overtaken", () => {
    const progress = agreeing();
    progress.sentAppend(12, 10, 10);
    progress.accepted(12, 0);

    progress.accepted(11, 0);

    assert.deepEqual([progress.match, progress.next], [12, 13]);
  });
});

describe("a peer that needs a snapshot", () => {
  const installing = (): Progress => {
    const progress = new Progress(11, LIMITS);
    progress.sentSnapshot(20);
    return progress;
  };

  test("gets nothing else meanwhile", () => {
    const progress = installing();
    progress.answeredHeartbeat(1, 0, 30, 30);

    assert.deepEqual([progress.state, progress.wantsAppend(30, 30)], ["snapshot", false]);
  });

  test("goes on after the snapshot when it was sent, as soon as it is heard", () => {
    const progress = installing();

    progress.snapshotEnded(true);
    assert.deepEqual([progress.state, progress.next, progress.wantsAppend(30, 30)], ["probe", 21, false]);
    progress.answeredHeartbeat(1, 0, 30, 30);

    assert.equal(progress.wantsAppend(30, 30), true);
  });

  test("begins again where it was when sending has failed", () => {
    const progress = installing();

    progress.snapshotEnded(false);

    assert.deepEqual([progress.state, progress.next], ["probe", 1]);
  });

  test("goes on with entries when its acknowledgement comes first", () => {
    const progress = installing();

    progress.accepted(20, 20);

    assert.deepEqual([progress.state, progress.next], ["replicate", 21]);
    progress.snapshotEnded(true);
    assert.equal(progress.state, "replicate");
  });

  test("still needs it when it acknowledges what is not enough", () => {
    const progress = installing();

    progress.accepted(15, 18);

    assert.equal(progress.state, "snapshot");
  });
});

test("silence is counted from the last word of a peer", () => {
  const progress = new Progress(1, LIMITS);
  progress.tick();
  progress.tick();
  assert.deepEqual([progress.silentTicks, progress.hasAnswered], [2, false]);

  progress.heard();

  assert.deepEqual([progress.silentTicks, progress.hasAnswered], [0, true]);
});

import type { ClusterduckError } from "../../common/errors.js";
import type { SnapshotMark } from "../raft/message.js";

type Arrival = {
  readonly mark: SnapshotMark;
  readonly data: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: ClusterduckError) => void;
};

/**
 * Snapshots of the leader that are not on the disk yet. The core deals with their marks only; the data waits here
 * for the write that installs it, and the leader for its end.
 */
export class SnapshotArrivals {
  #arrivals: Arrival[] = [];

  /** Resolves when that snapshot, or a later one, is installed. */
  add(mark: SnapshotMark, data: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#arrivals.push({ mark, data, resolve, reject });
    });
  }

  /** The data of a snapshot that the core wants installed. */
  dataOf({ last }: SnapshotMark): Uint8Array {
    const arrival = this.#arrivals.find(
      ({ mark }) => mark.last.index === last.index && mark.last.term === last.term,
    );
    if (arrival === undefined) throw new Error(`The data of snapshot ${last.index} is not there`);
    return arrival.data;
  }

  /** A snapshot of this index is on the disk. */
  onInstalled(index: number): void {
    const installed = this.#arrivals.filter(({ mark }) => mark.last.index <= index);
    this.#arrivals = this.#arrivals.filter(({ mark }) => mark.last.index > index);
    for (const { resolve } of installed) resolve();
  }

  rejectAll(error: ClusterduckError): void {
    for (const { reject } of this.#arrivals.splice(0)) reject(error);
  }
}

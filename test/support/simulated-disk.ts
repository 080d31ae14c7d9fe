import { ClusterduckError } from "../../common/errors.js";
import type { Random } from "../../common/random.js";
import type { Disk, DiskFile } from "../../coordinator/log/storage/disk.js";

const SECTOR_BYTES = 512;

type PendingWrite = { readonly position: number; readonly bytes: Uint8Array };
/** A file's content outlives its names. */
type Content = { durable: Uint8Array; pending: PendingWrite[] };
type NameChange =
  | { readonly kind: "put"; readonly path: string; readonly content: Content }
  | { readonly kind: "remove"; readonly path: string };

export type SimulatedDiskOptions = {
  readonly random: Random;
  /** Bytes that all files together may have. Default: no limit. */
  readonly capacityBytes?: number;
};

/**
 * A disk of which a test can pull the plug. Writes are visible at once and durable only after a sync; a
 * crash keeps any of the unsynced sectors, and the unsynced names up to some point, as real disks do.
 * What a process awaited when it "died" never settles.
 */
export class SimulatedDisk {
  readonly #random: Random;
  capacityBytes: number;
  #names = new Map<string, Content>();
  #durableNames = new Map<string, Content>();
  #nameChanges: NameChange[] = [];
  #incarnation = 0;
  #locks = new Set<string>();
  #heldSyncs: (() => void)[] | null = null;
  #failures: { readonly operation: Operation; readonly error: ClusterduckError }[] = [];
  /** Operations until the plug is pulled; null: not by itself. */
  #crashAfter: { operations: number; readonly onCrash: () => void } | null = null;
  /** Syncs that have completed, for tests of group commit. */
  syncCount = 0;

  constructor(options: SimulatedDiskOptions) {
    this.#random = options.random;
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
  }

  /** The disk as one process sees it, until the next crash. */
  attach(): Disk {
    const incarnation = this.#incarnation;
    const step = <T>(operation: Operation, work: () => T | Promise<T>): Promise<T> =>
      this.#step(incarnation, operation, work);
    return {
      makeDirectory: () => step("write", () => undefined),
      list: (path) => step("read", () => this.#list(path)),
      read: (path) => step("read", () => this.#visible(path)),
      open: (path, mode) =>
        step("write", () => {
          if (mode === "create") this.#put(path, { durable: new Uint8Array(0), pending: [] });
          return this.#file(this.#content(path), step);
        }),
      rename: (from, to) =>
        step("write", () => {
          this.#put(to, this.#content(from));
          this.#unlink(from);
        }),
      remove: (path) => step("write", () => this.#unlink(path)),
      syncDirectory: () => step("sync", () => this.#syncNames()),
      freeBytes: () => step("read", () => this.capacityBytes - this.usedBytes()),
      lock: (directory) =>
        step("read", () => {
          if (this.#locks.has(directory))
            throw new ClusterduckError("LOG_LOCKED", `"${directory}" is locked`);
          this.#locks.add(directory);
          return { release: () => step("read", () => void this.#locks.delete(directory)) };
        }),
    };
  }

  /** Power off and on again: whatever was not synced may be there, in part, or not. */
  crash(): void {
    this.#incarnation++;
    this.#locks.clear();
    this.#heldSyncs = this.#heldSyncs === null ? null : [];
    this.#crashAfter = null;
    const kept = Math.floor(this.#random() * (this.#nameChanges.length + 1));
    for (const change of this.#nameChanges.slice(0, kept)) this.#makeDurable(change);
    this.#nameChanges = [];
    const contents = new Set([...this.#durableNames.values(), ...this.#names.values()]);
    for (const content of contents) {
      for (const write of content.pending) this.#keepSomeSectors(content, write);
      content.pending = [];
    }
    this.#names = new Map(this.#durableNames);
  }

  /** The process dies, the machine does not: everything written stays. */
  kill(): void {
    this.#incarnation++;
    this.#locks.clear();
    this.#heldSyncs = this.#heldSyncs === null ? null : [];
    this.#crashAfter = null;
  }

  /** Pulls the plug in the middle of the operation after `operations` further ones. */
  crashAfter(operations: number, onCrash: () => void): void {
    this.#crashAfter = { operations, onCrash };
  }

  /** Syncs wait from now on until `releaseSyncs`. */
  holdSyncs(): void {
    this.#heldSyncs ??= [];
  }

  releaseSyncs(): void {
    const held = this.#heldSyncs ?? [];
    this.#heldSyncs = null;
    for (const release of held) release();
  }

  heldSyncCount(): number {
    return this.#heldSyncs?.length ?? 0;
  }

  failNext(operation: Operation, code: "DISK_FAILED" | "DISK_FULL"): void {
    const error = new ClusterduckError(code, `Cannot ${operation}: simulated ${code}`);
    this.#failures.push({ operation, error });
  }

  flipBit(path: string, offset: number, mask = 1): void {
    const content = this.#content(path);
    content.durable[offset] = (content.durable[offset] ?? 0) ^ mask;
  }

  overwrite(path: string, offset: number, bytes: Uint8Array): void {
    this.#content(path).durable.set(bytes, offset);
  }

  truncate(path: string, length: number): void {
    const content = this.#content(path);
    content.durable = content.durable.slice(0, length);
  }

  removeFile(path: string): void {
    this.#names.delete(path);
    this.#durableNames.delete(path);
  }

  paths(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  bytesOf(path: string): Uint8Array {
    return this.#visible(path);
  }

  usedBytes(): number {
    let used = 0;
    for (const content of new Set(this.#names.values())) used += sizeOf(content);
    return used;
  }

  async #step<T>(incarnation: number, operation: Operation, work: () => T | Promise<T>): Promise<T> {
    await Promise.resolve();
    if (incarnation !== this.#incarnation) return never();
    const crash = this.#crashAfter;
    if (crash !== null) {
      if (crash.operations <= 0) {
        // A write that the crash interrupts may have reached the disk in part, a sync too.
        if (operation === "write" && this.#random() < 0.7) await work();
        this.crash();
        crash.onCrash();
        return never();
      }
      crash.operations--;
    }
    const at = this.#failures.findIndex((failure) => failure.operation === operation);
    const [failure] = at < 0 ? [] : this.#failures.splice(at, 1);
    if (failure !== undefined) throw failure.error;
    return work();
  }

  #file(
    content: Content,
    step: <T>(operation: Operation, work: () => T | Promise<T>) => Promise<T>,
  ): DiskFile {
    const file: DiskFile = {
      write: (bytes, position) =>
        step("write", () => {
          const grownBy = Math.max(0, position + bytes.length - sizeOf(content));
          if (this.usedBytes() + grownBy > this.capacityBytes) {
            // As much as fits is written, as a real disk does.
            const fits = Math.max(0, bytes.length - (this.usedBytes() + grownBy - this.capacityBytes));
            content.pending.push({ position, bytes: bytes.slice(0, fits) });
            throw new ClusterduckError("DISK_FULL", "Cannot write: no space is left (simulated)");
          }
          content.pending.push({ position, bytes: bytes.slice() });
        }),
      writeDurably: async (bytes, position) => {
        await file.write(bytes, position);
        await file.sync();
      },
      sync: () =>
        step("sync", async () => {
          const incarnation = this.#incarnation;
          const writes = [...content.pending];
          if (this.#heldSyncs !== null) {
            await new Promise<void>((resolve) => this.#heldSyncs?.push(resolve));
          }
          if (incarnation !== this.#incarnation) return never();
          for (const write of writes) content.durable = applied(content.durable, write);
          content.pending = content.pending.filter((write) => !writes.includes(write));
          this.syncCount++;
        }),
      close: () => step("read", () => undefined),
    };
    return file;
  }

  #keepSomeSectors(content: Content, write: PendingWrite): void {
    for (let at = 0; at < write.bytes.length;) {
      const position = write.position + at;
      const end = Math.min(write.bytes.length, at + SECTOR_BYTES - (position % SECTOR_BYTES));
      if (this.#random() < 0.5) {
        content.durable = applied(content.durable, { position, bytes: write.bytes.subarray(at, end) });
      }
      at = end;
    }
  }

  #list(directory: string): readonly string[] {
    const prefix = `${directory}/`;
    return this.paths()
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length))
      .filter((name) => !name.includes("/"));
  }

  #visible(path: string): Uint8Array {
    const content = this.#content(path);
    return content.pending.reduce(applied, content.durable.slice());
  }

  #content(path: string): Content {
    const content = this.#names.get(path);
    if (content === undefined) throw new ClusterduckError("DISK_FAILED", `Cannot open "${path}": ENOENT`);
    return content;
  }

  #put(path: string, content: Content): void {
    this.#names.set(path, content);
    this.#nameChanges.push({ kind: "put", path, content });
  }

  #unlink(path: string): void {
    this.#names.delete(path);
    this.#nameChanges.push({ kind: "remove", path });
  }

  #syncNames(): void {
    for (const change of this.#nameChanges) this.#makeDurable(change);
    this.#nameChanges = [];
  }

  #makeDurable(change: NameChange): void {
    if (change.kind === "put") this.#durableNames.set(change.path, change.content);
    else this.#durableNames.delete(change.path);
  }
}

type Operation = "read" | "write" | "sync";

function applied(content: Uint8Array, write: PendingWrite): Uint8Array {
  const end = write.position + write.bytes.length;
  let target = content;
  if (end > content.length) {
    target = new Uint8Array(end);
    target.set(content);
  }
  target.set(write.bytes, write.position);
  return target;
}

function sizeOf(content: Content): number {
  return content.pending.reduce(
    (size, write) => Math.max(size, write.position + write.bytes.length),
    content.durable.length,
  );
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

import { execFileSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const PIECE = Buffer.alloc(1024 * 1024, 1);

/** Of tests that were killed before they could clean up. */
export function removeOrphanedDisks(): void {
  const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
  for (const line of mounts) {
    const [, path = ""] = line.split(" ");
    const pid = /\/duck-distant-(\d+)-[^/]*\//.exec(path)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) execFileSync("umount", ["--lazy", path]);
  }
}

/** A file system of its own that can become full. Needs root. */
export class SmallDisk {
  readonly path: string;
  readonly #mebibytes: number;
  #isFull = false;

  constructor(path: string, mebibytes: number) {
    this.path = path;
    this.#mebibytes = mebibytes;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  mount(): void {
    mkdirSync(this.path, { recursive: true });
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${this.#mebibytes}m`, "tmpfs", this.path]);
  }

  /** Takes all that is left, as another program on that host would. */
  fill(): void {
    this.#isFull = true;
    const file = openSync(this.#ballast, "a");
    try {
      // Ever smaller pieces, until not one byte fits.
      for (let bytes = PIECE.length; bytes > 0;) {
        try {
          if (writeSync(file, PIECE, 0, bytes) < bytes) bytes = Math.floor(bytes / 2);
        } catch {
          bytes = Math.floor(bytes / 2);
        }
      }
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    this.#isFull = false;
    rmSync(this.#ballast, { force: true });
  }

  unmount(): void {
    execFileSync("umount", ["--lazy", this.path]);
  }

  get #ballast(): string {
    return join(this.path, "ballast");
  }
}

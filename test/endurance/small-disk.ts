import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const PIECE = Buffer.alloc(1024 * 1024, 1);

/** A file system of its own that can become full. Needs root. */
export class SmallDisk {
  readonly path: string;
  readonly #mebibytes: number;

  constructor(path: string, mebibytes: number) {
    this.path = path;
    this.#mebibytes = mebibytes;
  }

  mount(): void {
    mkdirSync(this.path, { recursive: true });
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${this.#mebibytes}m`, "tmpfs", this.path]);
  }

  /** Takes all that is left, as another program on that host would. */
  fill(): void {
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
    rmSync(this.#ballast, { force: true });
  }

  unmount(): void {
    execFileSync("umount", ["--lazy", this.path]);
  }

  get #ballast(): string {
    return join(this.path, "ballast");
  }
}

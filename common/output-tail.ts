/** Keeps the end of an endless output in bounded memory. */
export class OutputTail {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #size = 0;
  #isTruncated = false;

  /** @param limit Bytes kept. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  append(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    // Joined only now and then, so that many small chunks cost no more than their bytes.
    if (this.#size > 2 * this.#limit) this.#trim();
  }

  /** The kept output; a first line `[...]` says that there was more before it. */
  text(): string {
    this.#trim();
    const text = Buffer.concat(this.#chunks).toString("utf8");
    return this.#isTruncated ? `[...]\n${text.replace(/^�+/, "")}` : text;
  }

  #trim(): void {
    if (this.#size <= this.#limit) return;
    const joined = Buffer.concat(this.#chunks);
    const kept = Buffer.from(joined.subarray(joined.length - this.#limit));
    this.#chunks = [kept];
    this.#size = kept.length;
    this.#isTruncated = true;
  }
}

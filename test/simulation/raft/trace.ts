type Event = { readonly atMs: number; readonly who: string; readonly what: string; readonly detail: unknown };

const KEPT = 50;

/** The latest events, made into text only when somebody asks. */
export class Trace {
  readonly #events: Event[] = [];
  readonly #echo: ((line: string) => void) | null;
  #next = 0;

  /** @param echo gets every event as it happens, for the replay of one seed. */
  constructor(echo: ((line: string) => void) | null = null) {
    this.#echo = echo;
  }

  add(atMs: number, who: string, what: string, detail: unknown = null): void {
    const event = { atMs, who, what, detail };
    this.#events[this.#next++ % KEPT] = event;
    this.#echo?.(format(event));
  }

  lines(): readonly string[] {
    const from = this.#next % KEPT;
    return [...this.#events.slice(from), ...this.#events.slice(0, from)].map(format);
  }
}

function format({ atMs, who, what, detail }: Event): string {
  const text = detail === null ? "" : ` ${JSON.stringify(detail, shorten)}`;
  return `${atMs.toFixed(1).padStart(9)} ${who.padEnd(8)} ${what}${text}`;
}

function shorten(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return new TextDecoder().decode(value).slice(0, 60);
  if (Array.isArray(value) && value.length > 6)
    return [...(value.slice(0, 3) as unknown[]), `… ${value.length} in all …`, value.at(-1)];
  return value;
}

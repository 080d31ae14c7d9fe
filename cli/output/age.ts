const UNITS = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1],
] as const;

/** A span in its two largest units: `4s`, `2m10s`, `3h`, `5d2h`. Negative ones, from clocks that disagree, are 0s. */
export function formatAge(ageMs: number): string {
  let seconds = Math.max(0, Math.floor(ageMs / 1000));
  const at = UNITS.findIndex(([, size]) => seconds >= size);
  if (at === -1) return "0s";
  const parts = UNITS.slice(at, at + 2).map(([unit, size]) => {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    return count === 0 ? "" : `${count}${unit}`;
  });
  return parts.join("");
}

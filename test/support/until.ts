/** Waits until something holds. @throws Error that names it when it does not within `limitMs`. */
export async function until(holds: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error(`Not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

import { InvalidArgumentError, Option } from "commander";

import { parseDuration } from "../common/duration.js";
import { messageOf } from "../common/errors.js";

/** An option that takes a duration and gives milliseconds. */
export function durationOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string) => {
    try {
      return parseDuration(text);
    } catch (thrown) {
      throw new InvalidArgumentError(messageOf(thrown));
    }
  });
}

/** An option that takes a whole number from `min` on. */
export function countOption(flags: string, description: string, min: number): Option {
  return new Option(flags, description).argParser((text: string) => {
    const value = Number(text);
    if (/^\d{1,15}$/.test(text) && value >= min) return value;
    throw new InvalidArgumentError(`expected a whole number from ${min}`);
  });
}

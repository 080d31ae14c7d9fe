import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { stringify } from "yaml";

import { toPlain } from "../../common/wire/plain.js";
import type { Plain } from "../../common/wire/plain.js";
import type { CliIo } from "../io.js";
import { formatTable } from "./table.js";

export const FORMATS = ["table", "wide", "json", "yaml", "name"] as const;
export type Format = (typeof FORMATS)[number];

export type Column<Row> = {
  readonly header: string;
  readonly value: (row: Row) => string;
  /** Shown with `-o wide` only. */
  readonly isWide?: boolean;
};

/** How one kind of resource is shown. */
export type Listing<Desc extends DescMessage> = {
  readonly schema: Desc;
  readonly columns: (io: CliIo) => readonly Column<MessageShape<Desc>>[];
  /** What `-o name` prints, and other commands take. */
  readonly name: (row: MessageShape<Desc>) => string;
  /** Said on standard error when a table would be empty. */
  readonly none: string;
};

/** A list in the wanted format: data on standard output, remarks on standard error. */
export function printList<Desc extends DescMessage>(
  io: CliIo,
  format: Format,
  listing: Listing<Desc>,
  rows: readonly MessageShape<Desc>[],
): void {
  switch (format) {
    case "json":
    case "yaml":
      printData(
        io,
        format,
        rows.map((row) => toPlain(listing.schema, row)),
      );
      return;
    case "name":
      for (const row of rows) io.out(`${listing.name(row)}\n`);
      return;
    case "table":
    case "wide": {
      if (rows.length === 0) {
        io.err(`${listing.none}\n`);
        return;
      }
      const columns = listing.columns(io).filter((column) => format === "wide" || column.isWide !== true);
      io.out(
        formatTable(
          columns.map((column) => column.header),
          rows.map((row) => columns.map((column) => column.value(row))),
          tableWidth(io, format),
        ),
      );
    }
  }
}

/** Tables are shortened for eyes only: not in files and pipes, and not with `-o wide`. */
export function tableWidth(io: CliIo, format: Format): number | null {
  return io.isTerminal && format === "table" ? io.width : null;
}

/** One thing: its data as JSON or YAML, its name, or what `forPeople` writes. */
export function printOne<Desc extends DescMessage>(
  io: CliIo,
  format: Format,
  shown: {
    readonly schema: Desc;
    readonly message: MessageShape<Desc>;
    readonly name: string;
    readonly forPeople: () => string;
  },
): void {
  if (format === "json" || format === "yaml") printData(io, format, toPlain(shown.schema, shown.message));
  else if (format === "name") io.out(`${shown.name}\n`);
  else io.out(shown.forPeople());
}

export function printData(io: CliIo, format: "json" | "yaml", data: Plain): void {
  io.out(format === "json" ? `${JSON.stringify(data, null, 2)}\n` : stringify(data));
}

/** One of a stream: a JSON object on one line, or a YAML document. */
export function printStreamed(io: CliIo, format: "json" | "yaml", data: Plain): void {
  io.out(format === "json" ? `${JSON.stringify(data)}\n` : `---\n${stringify(data)}`);
}

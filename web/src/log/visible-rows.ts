/** Which rows are drawn: those that fill the screen from the scroll position on. Pure. */
import type { Line } from "./store";

/** Drawn below the screen, so that a small move shows lines at once. */
export const EXTRA_ROWS = 4;

export interface RowView {
  /** The line's number, counted from 0. */
  number: number;
  /** undefined while it is being fetched. */
  line: Line | undefined;
  /** The first line of a section that can be folded. */
  head: boolean;
}

export interface RowSource {
  rows: number;
  lineOfRow: (row: number) => number;
  line: (number: number) => Line | undefined;
  isHead: (number: number) => boolean;
  /** In pixels. */
  heightOf: (row: number) => number;
}

/**
 * The rows from `first` on that fill `pixels`. A row that has not changed is the same object as in `before`, so that its element
 * is kept.
 */
export function visibleRows(source: RowSource, first: number, pixels: number, before: readonly RowView[]): RowView[] {
  const known = new Map(before.map((row) => [row.number, row]));
  const found: RowView[] = [];
  let left = pixels;
  for (let row = first; row < source.rows && left > 0; row++) {
    const number = source.lineOfRow(row);
    const line = source.line(number);
    const head = source.isHead(number);
    const old = known.get(number);
    found.push(old && old.line === line && old.head === head ? old : { number, line, head });
    left -= source.heightOf(row);
  }
  return found;
}

/** The height in pixels of a text of so many terminal cells, wrapped at so many columns. */
export function wrappedHeight(cells: number, columns: number, rowHeight: number): number {
  return rowHeight * Math.max(1, Math.ceil(cells / columns));
}

/** Digits of the widest line number; at least 3, so that a short log does not move while it grows. */
export function digitsOf(total: number): number {
  return Math.max(3, String(total).length);
}

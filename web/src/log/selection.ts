/** Ranges of lines and links to them. `#L12` and `#L12-L20` count from 1, as the page shows; ranges count from 0. */

export interface LineRange {
  first: number;
  last: number;
}

export function parseRange(hash: string): LineRange | undefined {
  const match = /^#L(\d{1,9})(?:-L?(\d{1,9}))?$/.exec(hash);
  if (!match) return undefined;
  const one = Number(match[1]) - 1;
  const other = match[2] === undefined ? one : Number(match[2]) - 1;
  if (one < 0 || other < 0) return undefined;
  return { first: Math.min(one, other), last: Math.max(one, other) };
}

export function formatRange(range: LineRange): string {
  return range.first === range.last ? `L${range.first + 1}` : `L${range.first + 1}-L${range.last + 1}`;
}

export function inRange(range: LineRange | undefined, line: number): boolean {
  return range !== undefined && line >= range.first && line <= range.last;
}

export function linesIn(range: LineRange | undefined): number {
  return range ? range.last - range.first + 1 : 0;
}

/** The selection after a click on a line's number. Shift extends the range; a click on the selected line clears it. */
export function selectLine(range: LineRange | undefined, line: number, extend: boolean): LineRange | undefined {
  const next = extend && range ? { first: Math.min(range.first, line), last: Math.max(range.first, line) } : { first: line, last: line };
  return range && range.first === next.first && range.last === next.last ? undefined : next;
}

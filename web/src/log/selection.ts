/** Links to lines: `#L12` and `#L12-L20` count from 1, as people do; ranges count from 0. */

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

/** The matches of a search, collected page by page. Pure. */
import type { HitPage } from "../api/types";

/** Matches that can be stepped through; further ones are counted. Their line numbers take less than a megabyte. */
export const MAX_STEPPED = 50_000;

export interface Matches {
  /** Lines with matches, counted from 0, in order. */
  lines: readonly number[];
  /** Lines with matches in the part that was searched: more than `lines` while pages are missing. */
  count: number;
  /** Bytes that were searched, of so many. */
  searched: number;
  size: number;
}

/** The matches with another page, which continues where the last one ended. */
export function withPage(before: Matches | undefined, page: HitPage): Matches {
  const lines = [...(before?.lines ?? []), ...page.hits.map((hit) => hit.line - 1)];
  return {
    lines,
    count: (before?.lines.length ?? 0) + page.count,
    searched: page.searched,
    size: page.size_bytes,
  };
}

/** The offset of the next page to read; null when all were read, or enough to step through and all counted. */
export function nextOf(matches: Matches, page: HitPage): number | null {
  return matches.lines.length >= MAX_STEPPED && page.searched >= page.size_bytes ? null : page.next;
}

/** The index `by` steps from `at`, around the ends; -1 without matches. */
export function stepped(at: number, by: number, count: number): number {
  return count === 0 ? -1 : (at + by + count) % count;
}

/** "3 of 17", "no matches"; while a part is not searched yet "3 of 17, searched 41 of 59 MB"; empty before the first
 * response. */
export function summaryOf(matches: Matches | undefined, at: number): string {
  if (!matches) return "";
  const found = matches.count === 0 ? "" : `${(at + 1).toLocaleString("en")} of ${matches.count.toLocaleString("en")}`;
  if (matches.searched >= matches.size) return found || "no matches";
  const progress = `searched ${megabytes(matches.searched)} of ${megabytes(matches.size)} MB`;
  return found ? `${found}, ${progress}` : progress;
}

function megabytes(bytes: number): string {
  return Math.floor(bytes / 1e6).toLocaleString("en");
}

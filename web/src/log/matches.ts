/** Stepping through the matches of a search. Pure. */
import type { HitPage } from "../api/types";

/** The lines with matches, counted from 0, in order. */
export function matchedLines(page: HitPage | undefined): number[] {
  return page?.hits.map((hit) => hit.line - 1) ?? [];
}

/** The index `by` steps from `at`, around the ends; -1 without matches. */
export function stepped(at: number, by: number, count: number): number {
  return count === 0 ? -1 : (at + by + count) % count;
}

/** "3 of 17", "3 of 1,000+", "no matches"; empty before the first response. */
export function summaryOf(page: HitPage | undefined, at: number): string {
  if (!page) return "";
  if (page.hits.length === 0) return "no matches";
  const total = `${page.hits.length.toLocaleString("en")}${page.next === null ? "" : "+"}`;
  return `${(at + 1).toLocaleString("en")} of ${total}`;
}

import { createRoot } from "solid-js";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ApiError } from "../src/api/client";
import type { HitPage } from "../src/api/types";
import { matchedLines, stepped, summaryOf } from "../src/log/matches";
import { createLogSearch, type LogSearch } from "../src/log/search";

function pageOf(lines: number[], next: number | null = null): HitPage {
  return { hits: lines.map((line) => ({ line, text: "" })), next } as unknown as HitPage;
}

describe("stepping through matches", () => {
  test("goes around the ends", () => {
    expect([stepped(0, 1, 3), stepped(2, 1, 3), stepped(0, -1, 3)]).toEqual([1, 0, 2]);
    expect(stepped(-1, 1, 0)).toBe(-1);
  });

  test("is summarised for the user", () => {
    expect(summaryOf(undefined, -1)).toBe("");
    expect(summaryOf(pageOf([]), -1)).toBe("no matches");
    expect(summaryOf(pageOf([4, 9]), 1)).toBe("2 of 2");
    expect(summaryOf(pageOf(Array.from({ length: 1000 }, (_, at) => at + 1), 5000), 999)).toBe("1,000 of 1,000+");
  });

  test("lines are counted from 0", () => {
    expect(matchedLines(pageOf([1, 10]))).toEqual([0, 9]);
    expect(matchedLines(undefined)).toEqual([]);
  });
});

describe("a search", () => {
  let requests: { words: string; signal: AbortSignal; answer: (page: HitPage) => void; fail: (error: Error) => void }[] = [];
  let shown: number[] = [];
  let search: LogSearch;
  let dispose: () => void;

  beforeEach(() => {
    vi.useFakeTimers();
    requests = [];
    shown = [];
    const reader = {
      search: (words: string, signal: AbortSignal) =>
        new Promise<HitPage>((answer, fail) => {
          requests.push({ words, signal, answer, fail });
        }),
    };
    createRoot((end) => {
      dispose = end;
      search = createLogSearch(reader, (line) => shown.push(line));
    });
  });
  afterEach(() => {
    dispose();
    vi.useRealTimers();
  });

  /** Types the words, waits for the request and answers it. */
  async function find(words: string, page: HitPage): Promise<void> {
    search.setWords(words);
    await vi.advanceTimersByTimeAsync(200);
    requests.at(-1)?.answer(page);
    await vi.advanceTimersByTimeAsync(0);
  }

  test("is sent once the user stops typing", async () => {
    for (const words of ["e", "er", "err"]) search.setWords(words);
    await vi.advanceTimersByTimeAsync(100);
    expect(requests).toEqual([]);
    await vi.advanceTimersByTimeAsync(100);
    expect(requests.map((one) => one.words)).toEqual(["err"]);
  });

  test("shows the first match, and the others as the user steps", async () => {
    await find("err", pageOf([5, 8]));
    expect(search.summary()).toBe("1 of 2");
    expect(search.currentLine()).toBe(4);
    search.step(1);
    search.step(1);
    search.step(-1);
    expect(shown).toEqual([4, 7, 4, 7]);
    expect(search.summary()).toBe("2 of 2");
  });

  test("without matches shows nothing and cannot be stepped", async () => {
    await find("err", pageOf([]));
    search.step(1);
    expect([search.summary(), search.currentLine(), shown]).toEqual(["no matches", undefined, []]);
  });

  test("that is outdated is aborted, and its late response is ignored", async () => {
    search.setWords("old");
    await vi.advanceTimersByTimeAsync(200);
    search.setWords("new");
    expect(requests[0]?.signal.aborted).toBe(true);
    requests[0]?.answer(pageOf([1]));
    await vi.advanceTimersByTimeAsync(0);
    expect([search.lines(), shown]).toEqual([[], []]);
  });

  test("is cleared with its words", async () => {
    await find("err", pageOf([5]));
    search.setWords("");
    await vi.advanceTimersByTimeAsync(500);
    expect([search.summary(), search.lines(), requests.length]).toEqual(["", [], 1]);
  });

  test("that failed says why, until the next one", async () => {
    search.setWords("err");
    await vi.advanceTimersByTimeAsync(200);
    requests[0]?.fail(new ApiError(429, "rate-limited", "Too many requests", "", ""));
    await vi.advanceTimersByTimeAsync(0);
    expect(search.summary()).toBe("Too many requests");
    await find("errors", pageOf([2]));
    expect(search.summary()).toBe("1 of 1");
  });

  test("ends with its component", async () => {
    search.setWords("err");
    await vi.advanceTimersByTimeAsync(200);
    dispose();
    expect(requests[0]?.signal.aborted).toBe(true);
  });
});

import { createRoot } from "solid-js";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ApiError } from "../src/api/client";
import type { HitPage } from "../src/api/types";
import { MAX_STEPPED, nextOf, stepped, summaryOf, withPage, type Matches } from "../src/log/matches";
import { createLogSearch, type LogSearch } from "../src/log/search";

const SIZE = 59_000_000;

function pageOf(lines: number[], next: number | null = null, searched = SIZE, count = lines.length): HitPage {
  const hits = lines.map((line) => ({ line, text: "" }));
  return { hits, next, count, searched, size_bytes: SIZE } as unknown as HitPage;
}

describe("stepping through matches", () => {
  test("goes around the ends", () => {
    expect([stepped(0, 1, 3), stepped(2, 1, 3), stepped(0, -1, 3)]).toEqual([1, 0, 2]);
    expect(stepped(-1, 1, 0)).toBe(-1);
  });

  test("is summarised for the user", () => {
    expect(summaryOf(undefined, -1)).toBe("");
    expect(summaryOf(withPage(undefined, pageOf([])), -1)).toBe("no matches");
    expect(summaryOf(withPage(undefined, pageOf([4, 9])), 1)).toBe("2 of 2");
    expect(summaryOf(withPage(undefined, pageOf([4], 5000, SIZE, 5231)), 0)).toBe("1 of 5,231");
  });

  test("does not say that there are none while a part is not searched", () => {
    const half = withPage(undefined, pageOf([], 41_942_997, 41_942_997));
    expect(summaryOf(half, -1)).toBe("searched 41 of 59 MB");
    expect(summaryOf(withPage(undefined, pageOf([3], 41_942_997, 41_942_997)), 0)).toBe("1 of 1, searched 41 of 59 MB");
  });

  test("lines are counted from 0, over all pages", () => {
    const first = withPage(undefined, pageOf([1, 10], 500, SIZE, 3));
    expect(first.count).toBe(3);
    const both = withPage(first, pageOf([20]));
    expect([both.lines, both.count]).toEqual([[0, 9, 19], 3]);
  });

  test("reads on until there is enough to step through, and all is counted", () => {
    const many: Matches = { lines: new Array<number>(MAX_STEPPED), count: MAX_STEPPED, searched: 0, size: SIZE };
    expect(nextOf(many, pageOf([], 7))).toBeNull();
    expect(nextOf(many, pageOf([], 7, 1000))).toBe(7);
    expect(nextOf(withPage(undefined, pageOf([1], 7)), pageOf([1], 7))).toBe(7);
  });
});

describe("a search", () => {
  let requests: { words: string; from: number; signal: AbortSignal; answer: (page: HitPage) => void; fail: (error: Error) => void }[] = [];
  let shown: number[] = [];
  let search: LogSearch;
  let dispose: () => void;

  beforeEach(() => {
    vi.useFakeTimers();
    requests = [];
    shown = [];
    const reader = {
      search: (words: string, from: number, signal: AbortSignal) =>
        new Promise<HitPage>((answer, fail) => {
          requests.push({ words, from, signal, answer, fail });
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

  test("continues until the whole log is searched", async () => {
    await find("err", pageOf([], 1000, 1000));
    expect([search.summary(), shown]).toEqual(["searched 0 of 59 MB", []]);
    requests.at(-1)?.answer(pageOf([7]));
    await vi.advanceTimersByTimeAsync(0);
    expect(requests.map((one) => one.from)).toEqual([0, 1000]);
    expect([search.summary(), shown]).toEqual(["1 of 1", [6]]);
    search.step(-1);
    expect(shown).toEqual([6, 6]);
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

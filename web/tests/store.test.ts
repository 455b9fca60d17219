import { beforeEach, describe, expect, test } from "vitest";
import { BLOCK_LINES, LogStore } from "../src/log/store";
import type { LogLines } from "../src/api/types";

/** A server that has this text as its log. */
function serverOf(text: string) {
  const asked: [number, number][] = [];
  const all = text.split("\n");
  const open = all.pop() ?? "";
  if (open) all.push(open);
  const ends: number[] = [];
  for (const line of all) ends.push((ends.at(-1) ?? 0) + line.length + 1);
  const fetchLines = async (first: number, count: number): Promise<LogLines> => {
    asked.push([first, count]);
    const begin = first < 0 ? Math.max(0, all.length + first) : first;
    const texts = all.slice(begin, begin + count);
    const end = Math.min(text.length, ends[begin + texts.length - 1] ?? 0);
    const marks = [{ line: 0, time_ms: 5, step: 1, note: false }];
    return { first: begin, total: all.length, size_bytes: text.length, end, open: open !== "", texts, cut: [], marks };
  };
  return { asked, fetchLines };
}

const lines = (from: number, to: number): string => Array.from({ length: to - from }, (_, at) => `line ${from + at}\n`).join("");
const settled = (): Promise<void> => new Promise((done) => setTimeout(done, 0));
const signal = new AbortController().signal;

describe("a log that is long, and one that grows", () => {
  let text = "";
  beforeEach(() => {
    text = lines(0, 1000);
  });

  function opened() {
    const server = serverOf(text);
    const store = new LogStore(server.fetchLines, () => undefined, (error) => { throw error; });
    return { server, store };
  }

  test("the newest lines are loaded first, others when they become visible", async () => {
    const { server, store } = opened();
    await store.start(signal);
    expect(store.total).toBe(1000);
    expect(store.get(999)?.text).toBe("line 999");
    expect(store.get(3)).toBeUndefined();
    store.request(3, 40);
    await settled();
    expect(store.get(3)).toMatchObject({ text: "line 3", time: 5, step: 1 });
    store.request(3, 40);
    await settled();
    expect(server.asked).toEqual([[-BLOCK_LINES, BLOCK_LINES], [0, BLOCK_LINES]]);
  });

  test("live text continues at the exact byte, in pieces of any size", async () => {
    const { store } = opened();
    await store.start(signal);
    let end = text.length;
    for (const piece of ["li", "ne 1000", "\nline 1001\nli", "ne 1002", "\n"]) store.append(piece, (end += piece.length));
    expect(store.total).toBe(1003);
    expect([1000, 1001, 1002].map((at) => store.get(at)?.text)).toEqual(["line 1000", "line 1001", "line 1002"]);
    expect(store.end).toBe(end);
    expect(store.appended).toBe(3);
  });

  test("text that is already known is ignored", async () => {
    const { store } = opened();
    await store.start(signal);
    store.append("line 1000\n", text.length + 10);
    store.append("line 1000\n", text.length + 10);
    expect(store.total).toBe(1001);
  });

  test("a line that is open when the log is loaded continues; a progress bar is redrawn in place", async () => {
    text += "10 %\r";
    const { store } = opened();
    await store.start(signal);
    expect(store.total).toBe(1001);
    expect(store.get(1000)?.text).toBe("10 %");
    store.append("50 %\r", text.length + 5);
    expect(store.get(1000)?.text).toBe("50 %");
    store.append("100 %\ndone", text.length + 15);
    expect(store.get(1000)?.text).toBe("100 %");
    expect(store.get(1001)?.text).toBe("done");
  });

  test("an endless line is truncated, so that its memory is bounded", async () => {
    const { store } = opened();
    await store.start(signal);
    let end = text.length;
    for (let round = 0; round < 100; round++) store.append("x".repeat(10_000), (end += 10_000));
    expect(store.get(1000)?.text.length).toBe(4096);
    expect(store.get(1000)?.cut).toBe(true);
    store.append("\nnext\n", (end += 6));
    expect(store.get(1001)?.text).toBe("next");
    expect(store.get(1001)?.cut).toBe(false);
  });

  test("the least recently used blocks are evicted and fetched again", async () => {
    text = lines(0, 300 * BLOCK_LINES);
    const { store } = opened();
    await store.start(signal);
    for (let block = 0; block < 260; block++) {
      store.request(block * BLOCK_LINES, block * BLOCK_LINES);
      await settled();
    }
    expect(store.get(0)).toBeUndefined();
    store.request(0, 10);
    await settled();
    expect(store.get(0)?.text).toBe("line 0");
  });

  test("live lines without times are dropped when times are requested", async () => {
    const { store } = opened();
    await store.start(signal);
    store.append("line 1000\n", text.length + 10);
    expect(store.get(1000)?.time).toBeNull();
    text += "line 1000\n";
    store.dropUntimed();
    expect(store.get(1000)).toBeUndefined();
  });

  test("requests for lines that are not visible any more are aborted", async () => {
    const signals = new Map<number, AbortSignal>();
    const never = (first: number, _count: number, abort: AbortSignal): Promise<LogLines> => {
      signals.set(first, abort);
      return first < 0 ? serverOf(text).fetchLines(first, BLOCK_LINES) : new Promise(() => undefined);
    };
    const store = new LogStore(never, () => undefined, (error) => { throw error; });
    await store.start(signal);
    store.request(0, 10);
    store.request(2 * BLOCK_LINES, 2 * BLOCK_LINES + 10);
    expect([signals.get(0)?.aborted, signals.get(2 * BLOCK_LINES)?.aborted]).toEqual([true, false]);
    store.close();
    expect(signals.get(2 * BLOCK_LINES)?.aborted).toBe(true);
  });

  test("a block that cannot be fetched is reported, and fetched again when it is requested again", async () => {
    const errors: unknown[] = [];
    let isDown = false;
    const server = serverOf(text);
    const fetchLines = (first: number, count: number): Promise<LogLines> =>
      isDown ? Promise.reject(new Error("down")) : server.fetchLines(first, count);
    const store = new LogStore(fetchLines, () => undefined, (error) => errors.push(error));
    await store.start(signal);
    isDown = true;
    store.request(0, 10);
    await settled();
    expect(errors).toHaveLength(1);
    isDown = false;
    store.request(0, 10);
    await settled();
    expect(store.get(0)?.text).toBe("line 0");
  });

  test("an empty log has no lines, and the first live text makes one", async () => {
    text = "";
    const { store } = opened();
    await store.start(signal);
    expect([store.total, store.get(0)]).toEqual([0, undefined]);
    store.append("hello", 5);
    expect([store.total, store.get(0)?.text]).toEqual([1, "hello"]);
  });

  test("each change of the lines is reported", async () => {
    let changes = 0;
    const store = new LogStore(serverOf(text).fetchLines, () => changes++, (error) => { throw error; });
    await store.start(signal);
    const loaded = changes;
    expect(loaded).toBeGreaterThan(0);
    store.append("more\n", text.length + 5);
    expect(changes).toBe(loaded + 1);
  });
});

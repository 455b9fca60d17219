import { beforeEach, describe, expect, test } from "vitest";
import { BLOCK_LINES, LogStore } from "../src/log/store";
import type { LogLines } from "../src/api/types";

/** A log on a server: what `lines` would answer of a text. */
function serverOf(text: string) {
  const asked: [number, number][] = [];
  const fetchLines = async (first: number, count: number): Promise<LogLines> => {
    asked.push([first, count]);
    const all = text.split("\n");
    const open = !text.endsWith("\n") && text !== "";
    if (!open) all.pop();
    const begin = first < 0 ? Math.max(0, all.length + first) : first;
    const texts = all.slice(begin, begin + count);
    const end = all.slice(0, begin + texts.length).join("\n").length + (open ? 0 : 1);
    return { first: begin, total: all.length, size_bytes: text.length, end, open, texts, cut: [], marks: [{ line: 0, time_ms: 5, step: 1, note: false }] };
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

  test("the newest lines come first, others when somebody looks at them", async () => {
    const { server, store } = opened();
    await store.start(signal);
    expect(store.total).toBe(1000);
    expect(store.get(999)?.text).toBe("line 999");
    expect(store.get(3)).toBeUndefined();
    store.want(3, 40);
    await settled();
    expect(store.get(3)).toMatchObject({ text: "line 3", time: 5, step: 1 });
    store.want(3, 40);
    await settled();
    expect(server.asked).toEqual([[-BLOCK_LINES, BLOCK_LINES], [0, BLOCK_LINES]]);
  });

  test("live text goes on exactly, in pieces of any size", async () => {
    const { store } = opened();
    await store.start(signal);
    let end = text.length;
    for (const piece of ["li", "ne 1000", "\nline 1001\nli", "ne 1002", "\n"]) store.append(piece, (end += piece.length));
    expect(store.total).toBe(1003);
    expect([1000, 1001, 1002].map((at) => store.get(at)?.text)).toEqual(["line 1000", "line 1001", "line 1002"]);
    expect(store.end).toBe(end);
    expect(store.appended).toBe(3);
  });

  test("what was heard before is not heard again", async () => {
    const { store } = opened();
    await store.start(signal);
    store.append("line 1000\n", text.length + 10);
    store.append("line 1000\n", text.length + 10);
    expect(store.total).toBe(1001);
  });

  test("a line that is open when the page is, goes on; a progress bar is drawn in place", async () => {
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

  test("an endless line keeps its memory bounded", async () => {
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

  test("blocks that nobody looks at any more are forgotten and come again", async () => {
    text = lines(0, 300 * BLOCK_LINES);
    const { store } = opened();
    await store.start(signal);
    for (let block = 0; block < 260; block++) {
      store.want(block * BLOCK_LINES, block * BLOCK_LINES);
      await settled();
    }
    expect(store.get(0)).toBeUndefined();
    store.want(0, 10);
    await settled();
    expect(store.get(0)?.text).toBe("line 0");
  });

  test("times of live lines are fetched when they are asked for", async () => {
    const { store } = opened();
    await store.start(signal);
    store.append("line 1000\n", text.length + 10);
    expect(store.get(1000)?.time).toBeNull();
    text += "line 1000\n";
    store.forgetLive();
    expect(store.get(1000)).toBeUndefined();
  });
});

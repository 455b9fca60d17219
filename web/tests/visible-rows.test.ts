import { describe, expect, test } from "vitest";
import type { Line } from "../src/log/store";
import { digitsOf, visibleRows, wrappedHeight, type RowSource } from "../src/log/visible-rows";

const line = (number: number): Line => ({ number, text: `line ${number}`, cut: false, time: null, step: 1, note: false });
const lines = Array.from({ length: 100 }, (_, number) => line(number));

function source(changes: Partial<RowSource> = {}): RowSource {
  return { rows: 100, lineOfRow: (row) => row, line: (number) => lines[number], isHead: (number) => number === 0, heightOf: () => 20, ...changes };
}

describe("the rows on the screen", () => {
  test("fill the pixels, a partial row at the end included", () => {
    expect(visibleRows(source(), 10, 50, []).map((row) => row.number)).toEqual([10, 11, 12]);
    expect(visibleRows(source(), 10, 60, []).map((row) => row.number)).toEqual([10, 11, 12]);
    expect(visibleRows(source(), 10, 0, [])).toEqual([]);
  });

  test("end with the log", () => {
    expect(visibleRows(source(), 98, 1000, []).map((row) => row.number)).toEqual([98, 99]);
    expect(visibleRows(source({ rows: 0 }), 0, 1000, [])).toEqual([]);
  });

  test("are fewer where rows are higher", () => {
    expect(visibleRows(source({ heightOf: (row) => (row === 11 ? 60 : 20) }), 10, 80, []).map((row) => row.number)).toEqual([10, 11]);
  });

  test("skip folded lines", () => {
    expect(visibleRows(source({ lineOfRow: (row) => row * 10 }), 1, 40, []).map((row) => row.number)).toEqual([10, 20]);
  });

  test("know heads, and lines that are not loaded yet", () => {
    const rows = visibleRows(source({ line: (number) => (number === 1 ? undefined : lines[number]) }), 0, 60, []);
    expect(rows.map((row) => row.head)).toEqual([true, false, false]);
    expect(rows.map((row) => row.line?.text)).toEqual(["line 0", undefined, "line 2"]);
  });

  test("stay the same objects while nothing changes, so that their elements are kept", () => {
    const before = visibleRows(source(), 0, 60, []);
    const scrolled = visibleRows(source(), 1, 60, before);
    expect(scrolled[0]).toBe(before[1]);
    expect(scrolled[1]).toBe(before[2]);
    const loaded = visibleRows(source({ line: (number) => (number === 1 ? line(1) : lines[number]) }), 0, 60, before);
    expect(loaded[0]).toBe(before[0]);
    expect(loaded[1]).not.toBe(before[1]);
  });
});

test("a wrapped row is as high as its text needs, an empty one as high as one line", () => {
  expect([0, 1, 80, 81, 161].map((cells) => wrappedHeight(cells, 80, 20))).toEqual([20, 20, 20, 40, 60]);
});

test("line numbers have at least three digits", () => {
  expect([0, 999, 1000, 1_000_000].map(digitsOf)).toEqual([3, 3, 4, 7]);
});

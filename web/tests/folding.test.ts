import { describe, expect, test } from "vitest";
import { Folding } from "../src/log/folding";
import { hiddenLines, isFoldable, toggled } from "../src/log/folds";

const sections = [
  { step: 1, first: 2, lines: 3 },
  { step: 2, first: 5, lines: 10 },
  { step: 1, first: 15, lines: 5 },
];

describe("rows and lines", () => {
  test("without folds a row is a line", () => {
    const folding = new Folding(sections, new Set(), 20);
    expect(folding.rows).toBe(20);
    expect(folding.lineOfRow(7)).toBe(7);
    expect(folding.rowOfLine(7)).toBe(7);
  });

  test("folded sections keep their first line, and every row has a line", () => {
    const folding = new Folding(sections, new Set([2, 5]), 20);
    expect(folding.rows).toBe(20 - 2 - 9);
    expect(Array.from({ length: folding.rows }, (_, row) => folding.lineOfRow(row))).toEqual([0, 1, 2, 5, 15, 16, 17, 18, 19]);
    expect([3, 4, 6, 14, 15].map((line) => folding.rowOfLine(line))).toEqual([2, 2, 3, 3, 4]);
  });

  test("rowOfLine is the inverse of lineOfRow, for every set of folds", () => {
    for (const folded of [[], [2], [5], [15], [2, 15], [2, 5, 15]]) {
      const folding = new Folding(sections, new Set(folded), 20);
      const rows = Array.from({ length: folding.rows }, (_, row) => row);
      expect(rows.map((row) => folding.rowOfLine(folding.lineOfRow(row)))).toEqual(rows);
    }
  });

  test("the last section grows with the log", () => {
    expect(new Folding(sections, new Set([15]), 1000).rows).toBe(16);
  });

  test("the section of a line is found, if there is one", () => {
    const folding = new Folding(sections, new Set(), 20);
    expect([1, 2, 4, 5, 19].map((line) => folding.sectionOf(line)?.first)).toEqual([undefined, 2, 2, 5, 15]);
  });

  test("an empty log has no rows", () => {
    expect(new Folding([], new Set([3]), 0).rows).toBe(0);
  });
});

describe("folds", () => {
  test("a step with more than one line can be folded, lines outside of steps cannot", () => {
    expect([{ step: 1, first: 0, lines: 2 }, { step: 1, first: 0, lines: 1 }, { step: 0, first: 0, lines: 9 }].map(isFoldable)).toEqual([true, false, false]);
  });

  test("a fold hides all lines of its section but the first", () => {
    expect(hiddenLines(sections, 5)).toBe(9);
    expect(hiddenLines(sections, 6)).toBe(0);
  });

  test("toggling leaves the given set as it is", () => {
    const before = new Set([2]);
    expect([...toggled(before, 5, true)]).toEqual([2, 5]);
    expect([...toggled(before, 2, false)]).toEqual([]);
    expect([...before]).toEqual([2]);
  });
});

import { describe, expect, test } from "vitest";
import { formatRange, inRange, linesIn, parseRange, selectLine } from "../src/log/selection";

test("links to lines count from 1, ranges from 0", () => {
  expect(parseRange("#L12")).toEqual({ first: 11, last: 11 });
  expect(parseRange("#L20-L12")).toEqual({ first: 11, last: 19 });
  expect(parseRange("#L0")).toBeUndefined();
  expect(parseRange("#elsewhere")).toBeUndefined();
  expect(formatRange({ first: 11, last: 19 })).toBe("L12-L20");
  expect(formatRange({ first: 11, last: 11 })).toBe("L12");
});

test("a range includes both ends", () => {
  const range = { first: 3, last: 5 };
  expect([2, 3, 5, 6].map((line) => inRange(range, line))).toEqual([false, true, true, false]);
  expect([linesIn(range), linesIn(undefined)]).toEqual([3, 0]);
  expect(inRange(undefined, 0)).toBe(false);
});

describe("a click on a line's number", () => {
  test("selects the line, whatever was selected before", () => {
    expect(selectLine(undefined, 4, false)).toEqual({ first: 4, last: 4 });
    expect(selectLine({ first: 1, last: 9 }, 4, false)).toEqual({ first: 4, last: 4 });
  });

  test("extends the range with the shift key, in both directions", () => {
    expect(selectLine({ first: 4, last: 4 }, 7, true)).toEqual({ first: 4, last: 7 });
    expect(selectLine({ first: 4, last: 7 }, 1, true)).toEqual({ first: 1, last: 4 });
    expect(selectLine(undefined, 7, true)).toEqual({ first: 7, last: 7 });
  });

  test("clears the selection when it would not change", () => {
    expect(selectLine({ first: 4, last: 4 }, 4, false)).toBeUndefined();
    expect(selectLine({ first: 4, last: 7 }, 7, true)).toBeUndefined();
  });
});

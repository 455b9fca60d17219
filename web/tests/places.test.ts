import { describe, expect, test } from "vitest";
import { webAddress } from "../src/kit/forge";
import { Folding } from "../src/log/folding";
import { MAX_HEIGHT, ROW_HEIGHT, ScrollPosition } from "../src/log/scrolling";
import { formatRange, parseRange } from "../src/log/selection";

describe("rows and lines", () => {
  const sections = [
    { step: 1, first: 2, lines: 3 },
    { step: 2, first: 5, lines: 10 },
    { step: 1, first: 15, lines: 5 },
  ];

  test("without folds a row is a line", () => {
    const folding = new Folding(sections, new Set(), 20);
    expect(folding.rows).toBe(20);
    expect(folding.lineOfRow(7)).toBe(7);
    expect(folding.rowOfLine(7)).toBe(7);
  });

  test("folded sections leave their first line, and every row has its line", () => {
    const folding = new Folding(sections, new Set([2, 5]), 20);
    expect(folding.rows).toBe(20 - 2 - 9);
    expect(Array.from({ length: folding.rows }, (_, row) => folding.lineOfRow(row))).toEqual([0, 1, 2, 5, 15, 16, 17, 18, 19]);
    expect([3, 4, 6, 14, 15].map((line) => folding.rowOfLine(line))).toEqual([2, 2, 3, 3, 4]);
  });

  test("the last section grows with the log", () => {
    expect(new Folding(sections, new Set([15]), 1000).rows).toBe(16);
  });
});

describe("a scroll bar over millions of rows", () => {
  test("short logs scroll by pixels", () => {
    const position = new ScrollPosition();
    position.resize(1000, 500, undefined);
    position.scrolledTo(1234);
    expect([position.row, position.offset]).toEqual([61, 14]);
    expect(position.scrollTop()).toBe(1234);
    position.toEnd();
    expect(position.isAtEnd).toBe(true);
    expect(position.scrollTop()).toBe(1000 * ROW_HEIGHT - 500);
  });

  test("long ones stay below what a browser can do, and reach every row", () => {
    const position = new ScrollPosition();
    position.resize(10_000_000, 500, undefined);
    expect(position.height).toBe(MAX_HEIGHT);
    position.scrolledTo(3_000_000);
    expect(position.row).toBeGreaterThan(4_990_000);
    expect(position.row).toBeLessThan(5_010_000);
    const before = position.row;
    position.settle(3_000_000);
    position.scrolledTo(3_000_060);
    expect(position.row).toBe(before + 3); // a wheel moves by pixels, however many rows there are
    position.scrolledTo(MAX_HEIGHT - 500);
    expect(position.isAtEnd).toBe(true);
    position.scrolledTo(0);
    expect(position.isAtStart).toBe(true);
  });

  test("rows of different heights are walked over", () => {
    const position = new ScrollPosition();
    position.resize(100, 200, (row) => (row % 2 ? 60 : 20));
    position.moveBy(90);
    expect([position.row, position.offset]).toEqual([2, 10]);
    position.moveBy(-40);
    expect([position.row, position.offset]).toEqual([1, 30]);
    position.toEnd();
    expect(position.row).toBe(95);
    expect(position.fraction()).toBe(1);
  });

  test("a row is shown with room above it, where there is any", () => {
    const position = new ScrollPosition();
    position.resize(1000, 600, undefined);
    position.showRow(500, true);
    expect(position.row).toBe(490);
    position.showRow(2, true);
    expect(position.row).toBe(0);
    position.showRow(5000, true);
    expect(position.isAtEnd).toBe(true);
  });
});

test("links to lines", () => {
  expect(parseRange("#L12")).toEqual({ first: 11, last: 11 });
  expect(parseRange("#L20-L12")).toEqual({ first: 11, last: 19 });
  expect(parseRange("#L0")).toBeUndefined();
  expect(parseRange("#elsewhere")).toBeUndefined();
  expect(formatRange({ first: 11, last: 19 })).toBe("L12-L20");
});

test("where a repository can be looked at", () => {
  expect(webAddress("https://git.example.org/team/app.git")).toBe("https://git.example.org/team/app");
  expect(webAddress("git@git.example.org:team/app.git")).toBe("https://git.example.org/team/app");
  expect(webAddress("ssh://git@git.example.org:2222/team/app")).toBe("https://git.example.org/team/app");
  expect(webAddress("http://localhost:3000/team/app.git")).toBe("http://localhost:3000/team/app");
  expect(webAddress("/srv/repositories/app")).toBeUndefined();
  expect(webAddress("javascript:alert(1)")).toBeUndefined();
  expect(webAddress("https://user:password@git.example.org/app")).toBeUndefined();
});

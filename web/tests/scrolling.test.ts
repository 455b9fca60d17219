import { describe, expect, test } from "vitest";
import { MAX_HEIGHT, ROW_HEIGHT, ScrollPosition } from "../src/log/scrolling";

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

  test("long logs stay below the browser's limit and reach every row", () => {
    const position = new ScrollPosition();
    position.resize(10_000_000, 500, undefined);
    expect(position.height).toBe(MAX_HEIGHT);
    position.scrolledTo(3_000_000);
    expect(position.row).toBeGreaterThan(4_990_000);
    expect(position.row).toBeLessThan(5_010_000);
    const before = position.row;
    position.acknowledge(3_000_000);
    position.scrolledTo(3_000_060);
    expect(position.row).toBe(before + 3); // a wheel moves by pixels, however many rows there are
    position.scrolledTo(MAX_HEIGHT - 500);
    expect(position.isAtEnd).toBe(true);
    position.scrolledTo(0);
    expect(position.isAtStart).toBe(true);
  });

  test("rows of different heights are passed one by one", () => {
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

  test("a row is shown with rows above it, if there are any", () => {
    const position = new ScrollPosition();
    position.resize(1000, 600, undefined);
    position.showRow(500, true);
    expect(position.row).toBe(490);
    position.showRow(2, true);
    expect(position.row).toBe(0);
    position.showRow(5000, true);
    expect(position.isAtEnd).toBe(true);
  });

  test("a log that fits on the screen does not scroll", () => {
    const position = new ScrollPosition();
    position.resize(3, 500, undefined);
    position.moveBy(1000);
    expect([position.row, position.offset, position.isAtStart, position.isAtEnd]).toEqual([0, 0, true, true]);
    expect(position.scrollTop()).toBe(0);
  });

  test("only a scrollTop that differs from the acknowledged one is a move", () => {
    const position = new ScrollPosition();
    position.resize(1000, 500, undefined);
    position.acknowledge(100.4);
    expect([position.hasMoved(100), position.hasMoved(101), position.hasMoved(102)]).toEqual([false, false, true]);
  });

  test("fewer rows, as after folding, move the position back to the end", () => {
    const position = new ScrollPosition();
    position.resize(1000, 500, undefined);
    position.toEnd();
    position.resize(100, 500, undefined);
    expect(position.row).toBe(75);
    expect(position.isAtEnd).toBe(true);
  });
});

import { createRoot, createSignal } from "solid-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LogSection } from "../src/api/types";
import type { LogReader } from "../src/log/reader";
import type { Line } from "../src/log/store";
import { createLogWindow, type LogWindow } from "../src/log/window";

/** A log of 100 lines in two steps. Without a browser the screen has no height, so that only the rows below it are drawn. */
describe("the part of a log on the screen", () => {
  const sections: LogSection[] = [
    { step: 1, first: 0, lines: 40 },
    { step: 2, first: 40, lines: 60 },
  ];
  let requested: [number, number][] = [];
  let dispose: () => void;
  let view: LogWindow;
  let setLive: (live: boolean) => void;

  beforeEach(() => {
    requested = [];
    const line = (number: number): Line => ({ number, text: "x", cut: false, time: null, step: 1, note: false });
    const store = { total: 100, get: line, request: (first: number, last: number) => requested.push([first, last]) };
    const reader = { store, sections: () => sections, version: () => 0 } as unknown as LogReader;
    createRoot((end) => {
      dispose = end;
      const [live, set] = createSignal(false);
      setLive = set;
      view = createLogWindow(reader, live, () => false);
    });
  });
  afterEach(() => dispose());

  const numbers = (): number[] => view.rows().map((row) => row.number);

  test("begins with the first line, and its lines are requested", () => {
    expect(numbers()).toEqual([0, 1, 2, 3]);
    expect(requested.at(-1)).toEqual([0, 3]);
  });

  test("goes to a line, to the start, and to the end", () => {
    view.toLine(50);
    expect(numbers()).toEqual([50, 51, 52, 53]);
    expect(requested.at(-1)).toEqual([50, 53]);
    view.toStart();
    expect(numbers()[0]).toBe(0);
    view.toEnd();
    expect(view.following()).toBe(false);
  });

  test("follows the end of a live log until another line is shown", () => {
    setLive(true);
    view.toEnd();
    expect(view.following()).toBe(true);
    view.toLine(3);
    expect(view.following()).toBe(false);
  });

  test("has no rows for folded lines", () => {
    view.fold(0, true);
    expect(numbers()).toEqual([0, 40, 41, 42]);
    view.foldAll(true);
    expect(numbers()).toEqual([0, 40]);
    expect(view.height()).toBe(40);
    view.foldAll(false);
    expect(numbers()).toEqual([0, 1, 2, 3]);
  });

  test("unfolds the section of a line that it is sent to", () => {
    view.fold(40, true);
    view.toLine(77);
    expect(numbers()).toContain(77);
    expect(view.folded().size).toBe(0);
  });

  test("marks the first lines of steps", () => {
    view.toLine(39);
    expect(view.rows().map((row) => row.head)).toEqual([false, true, false, false]);
  });
});

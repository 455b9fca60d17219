/** The part of a log that is on the screen: joins scroll position, folds and store, and yields the rows to draw. */
import { batch, createEffect, createMemo, createSignal, on, onCleanup, untrack, type Accessor } from "solid-js";
import { createFolds, type Folds } from "./folds";
import type { LogReader } from "./reader";
import { ScrollBar } from "./scroll-bar";
import { ROW_HEIGHT, ScrollPosition } from "./scrolling";
import { cells } from "./text";
import { createViewport } from "./viewport";
import { EXTRA_ROWS, visibleRows, wrappedHeight, type RowSource, type RowView } from "./visible-rows";

export interface LogWindow extends Folds {
  rows: Accessor<readonly RowView[]>;
  /** Pixels by which the rows are moved. */
  shift: Accessor<number>;
  /** Height of the scrolled element. */
  height: Accessor<number>;
  /** Height of the screen. */
  viewport: Accessor<number>;
  /** Whether the end is kept in view. */
  following: Accessor<boolean>;
  attach: (scroller: HTMLElement, rows: HTMLElement) => void;
  toLine: (line: number) => void;
  toEnd: () => void;
  toStart: () => void;
}

/** `live`: lines are still being appended; `wrap`: rows are as high as their text needs. */
export function createLogWindow(reader: LogReader, live: Accessor<boolean>, wrap: Accessor<boolean>): LogWindow {
  const position = new ScrollPosition();
  const viewport = createViewport();
  const folds = createFolds(reader);
  const [following, setFollowing] = createSignal(false);
  const [moves, setMoves] = createSignal(0);
  const redraw = (): number => setMoves((count) => count + 1);

  const scrollBar = new ScrollBar(position, (up) => {
    batch(() => {
      if (up) setFollowing(false);
      else if (position.isAtEnd && live()) setFollowing(true);
      redraw();
    });
  });

  const rows = createMemo<readonly RowView[]>((before) => {
    moves();
    const source = rowSource(reader, folds, wrap, viewport.columns);
    position.resize(source.rows, viewport.height(), wrap() ? source.heightOf : undefined);
    if (following()) position.toEnd();
    return visibleRows(source, position.row, viewport.height() + position.offset + EXTRA_ROWS * ROW_HEIGHT, before);
  }, []);
  const shift = createMemo(() => {
    rows();
    return -position.offset;
  });
  const height = createMemo(() => {
    rows();
    return position.height;
  });

  createEffect(() => {
    const first = rows()[0];
    const last = rows().at(-1);
    if (first && last) reader.store.request(first.number, last.number);
  });
  createEffect(on([rows, height], () => scrollBar.update()));

  function attach(scroller: HTMLElement, rowsElement: HTMLElement): void {
    scrollBar.attach(scroller);
    onCleanup(() => scrollBar.detach());
    createEffect(on([wrap, () => rows().length > 0], () => requestAnimationFrame(viewport.measure)));
    viewport.attach(scroller, rowsElement);
  }

  function jump(move: () => void, follow: boolean): void {
    scrollBar.cancelDelay();
    batch(() => {
      setFollowing(follow);
      move();
      redraw();
    });
  }

  return {
    ...folds,
    foldAll: (on_) => jump(() => folds.foldAll(on_), false),
    rows,
    shift,
    height,
    viewport: viewport.height,
    following,
    attach,
    toLine: (line) => jump(() => position.showRow(revealedRow(folds, rows, line), true), false),
    toEnd: () => jump(() => position.toEnd(), live()),
    toStart: () => jump(() => position.showRow(0, false), false),
  };
}

/** The row of a line, whose section is unfolded; the rows are made again before anything scrolls to it. */
function revealedRow(folds: Folds, rows: Accessor<unknown>, line: number): number {
  folds.reveal(line);
  untrack(rows);
  return folds.folding().rowOfLine(line);
}

/** The log's rows as they are now. Tracks everything that changes which rows exist or how high they are. */
function rowSource(reader: LogReader, folds: Folds, wrap: Accessor<boolean>, columns: Accessor<number>): RowSource {
  const folding = folds.folding();
  if (wrap()) columns();
  const wrappedRow = (row: number): number => {
    const line = reader.store.get(untrack(folds.folding).lineOfRow(row));
    return wrappedHeight(cells(line?.text ?? ""), untrack(columns), ROW_HEIGHT);
  };
  return {
    rows: folding.rows,
    lineOfRow: (row) => folding.lineOfRow(row),
    line: (number) => reader.store.get(number),
    isHead: folds.isHead,
    heightOf: wrap() ? wrappedRow : () => ROW_HEIGHT,
  };
}

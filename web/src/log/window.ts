/** The part of a log that is on the screen: joins scroll position, folding and store, and says which rows to draw. */
import { batch, createEffect, createMemo, createSignal, on, onCleanup, untrack, type Accessor } from "solid-js";
import { Folding } from "./folding";
import type { LogReader } from "./reader";
import type { RowView } from "./rows";
import { ROW_HEIGHT, ScrollPosition } from "./scrolling";
import { cells } from "./text";

/** Below the screen, so that a small move shows lines at once. */
const EXTRA_ROWS = 4;

/** After the last scroll event: the scroll bar is put where it belongs. */
const SETTLE_MS = 150;

export interface LogWindow {
  rows: Accessor<readonly RowView[]>;
  shift: Accessor<number>;
  height: Accessor<number>;
  viewport: Accessor<number>;
  /** Whether the end is kept in sight. */
  following: Accessor<boolean>;
  folding: Accessor<Folding>;
  folded: Accessor<ReadonlySet<number>>;
  attach: (scroller: HTMLElement, rows: HTMLElement) => void;
  toLine: (line: number) => void;
  toEnd: () => void;
  toStart: () => void;
  fold: (first: number, on: boolean) => void;
  foldAll: (on: boolean) => void;
}

/** `live`: lines still come; `wrap`: rows are as high as their text needs. */
export function createLogWindow(reader: LogReader, live: Accessor<boolean>, wrap: Accessor<boolean>): LogWindow {
  const position = new ScrollPosition();
  const [moved, setMoved] = createSignal(0);
  const [viewport, setViewport] = createSignal(0);
  const [columns, setColumns] = createSignal(120);
  const [following, setFollowing] = createSignal(false);
  const [folded, setFolded] = createSignal<ReadonlySet<number>>(new Set());
  let scroller: HTMLElement | undefined;
  let settling: ReturnType<typeof setTimeout> | undefined;
  let known = new Map<number, RowView>();

  const folding = createMemo(() => {
    reader.version();
    return new Folding(reader.sections(), folded(), reader.store.total);
  });
  const heads = createMemo(() => new Map(reader.sections().map((one) => [one.first, one])));

  function heightOf(row: number): number {
    const line = reader.store.get(untrack(folding).lineOfRow(row));
    return ROW_HEIGHT * Math.max(1, Math.ceil(cells(line?.text ?? "") / untrack(columns)));
  }

  const rows = createMemo<readonly RowView[]>(() => {
    moved();
    const view = folding();
    position.resize(view.rows, viewport(), wrap() ? (columns(), heightOf) : undefined);
    if (following()) position.toEnd();
    const found: RowView[] = [];
    const next = new Map<number, RowView>();
    let left = viewport() + position.offset + EXTRA_ROWS * ROW_HEIGHT;
    for (let row = position.row; row < view.rows && left > 0; row++) {
      const number = view.lineOfRow(row);
      const line = reader.store.get(number);
      const section = heads().get(number);
      const head = section !== undefined && section.step > 0 && section.lines > 1;
      const before = known.get(number);
      const view_ = before && before.line === line && before.head === head ? before : { number, line, head };
      found.push(view_);
      next.set(number, view_);
      left -= wrap() ? heightOf(row) : ROW_HEIGHT;
    }
    known = next;
    return found;
  });

  const shift = createMemo(() => {
    rows();
    return -position.offset;
  });
  const height = createMemo(() => {
    rows();
    return position.height;
  });

  createEffect(() => {
    const shown = rows();
    const first = shown[0];
    const last = shown.at(-1);
    if (first && last) reader.store.want(first.number, last.number);
  });
  createEffect(
    on([rows, height], () => {
      if (scroller && settling === undefined) settle();
    }),
  );

  /** The scroll bar to where the rows are. */
  function settle(): void {
    settling = undefined;
    if (!scroller) return;
    if (position.isNews(scroller.scrollTop)) return scrolled(); // the reader is faster than the browser's event
    const wanted = position.scrollTop();
    if (Math.abs(scroller.scrollTop - wanted) >= 1) scroller.scrollTop = wanted;
    position.settle(scroller.scrollTop);
  }

  function redraw(): void {
    setMoved((count) => count + 1);
  }

  function scrolled(): void {
    if (!scroller || !position.isNews(scroller.scrollTop)) return;
    const before = { row: position.row, offset: position.offset };
    position.scrolledTo(scroller.scrollTop);
    const up = position.row < before.row || (position.row === before.row && position.offset < before.offset);
    batch(() => {
      if (up) setFollowing(false);
      else if (position.isAtEnd && live()) setFollowing(true);
      redraw();
    });
    clearTimeout(settling);
    settling = setTimeout(settle, SETTLE_MS);
  }

  function attach(element: HTMLElement, drawn: HTMLElement): void {
    scroller = element;
    const measure = (): void => {
      batch(() => {
        setViewport(element.clientHeight);
        setColumns(columnsOf(drawn) ?? columns());
      });
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", scrolled, { passive: true });
    createEffect(on([wrap, () => rows().length > 0], () => requestAnimationFrame(measure)));
    measure();
    onCleanup(() => {
      observer.disconnect();
      element.removeEventListener("scroll", scrolled);
      clearTimeout(settling);
    });
  }

  function go(act: () => void, follow: boolean): void {
    clearTimeout(settling);
    settling = undefined;
    batch(() => {
      setFollowing(follow);
      act();
      redraw();
    });
  }

  return {
    rows,
    shift,
    height,
    viewport,
    following,
    folding,
    folded,
    attach,
    toLine: (line) => go(() => position.showRow(folding().rowOfLine(line), true), false),
    toEnd: () => go(() => position.toEnd(), live()),
    toStart: () => go(() => position.showRow(0, false), false),
    fold: (first, on_) =>
      setFolded((before) => {
        const next = new Set(before);
        if (on_) next.add(first);
        else next.delete(first);
        return next;
      }),
    foldAll: (on_) => {
      const all = reader.sections().filter((one) => one.step > 0);
      go(() => setFolded(new Set(on_ ? all.map((one) => one.first) : [])), false);
    },
  };
}

/** Letters that fit beside each other in the text of a row. */
function columnsOf(rows: HTMLElement): number | undefined {
  const text = rows.querySelector<HTMLElement>(".log-text");
  if (!text) return undefined;
  const context = document.createElement("canvas").getContext("2d");
  if (!context) return undefined;
  context.font = getComputedStyle(text).font;
  const letter = context.measureText("0".repeat(100)).width / 100;
  return letter > 0 ? Math.max(1, Math.floor(text.clientWidth / letter)) : undefined;
}

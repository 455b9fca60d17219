/** The size of the log on the screen as signals: its height, and the characters that fit into a row. */
import { batch, createSignal, onCleanup, type Accessor } from "solid-js";

/** Assumed until a row was measured. */
const DEFAULT_COLUMNS = 120;

export interface Viewport {
  /** In pixels; 0 until it is attached. */
  height: Accessor<number>;
  columns: Accessor<number>;
  measure: () => void;
  /** `scroller`: has the height; `rows`: contains the rows. */
  attach: (scroller: HTMLElement, rows: HTMLElement) => void;
}

export function createViewport(): Viewport {
  const [height, setHeight] = createSignal(0);
  const [columns, setColumns] = createSignal(DEFAULT_COLUMNS);
  let elements: { scroller: HTMLElement; rows: HTMLElement } | undefined;

  function measure(): void {
    const measured = elements;
    if (!measured) return;
    batch(() => {
      setHeight(measured.scroller.clientHeight);
      setColumns(columnsOf(measured.rows) ?? columns());
    });
  }

  function attach(scroller: HTMLElement, rows: HTMLElement): void {
    elements = { scroller, rows };
    const observer = new ResizeObserver(measure);
    observer.observe(scroller);
    measure();
    onCleanup(() => observer.disconnect());
  }

  return { height, columns, measure, attach };
}

/** Characters of the row's font that fit into its text; undefined without a row. */
function columnsOf(rows: HTMLElement): number | undefined {
  const text = rows.querySelector<HTMLElement>(".log-text");
  if (!text) return undefined;
  const context = document.createElement("canvas").getContext("2d");
  if (!context) return undefined;
  context.font = getComputedStyle(text).font;
  const character = context.measureText("0".repeat(100)).width / 100;
  return character > 0 ? Math.max(1, Math.floor(text.clientWidth / character)) : undefined;
}

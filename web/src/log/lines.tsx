/** The scrolled area of the log: a tall element for the scroll bar, and in it a window with the rows on the screen. */
import { createEffect, For, onMount } from "solid-js";
import { hiddenLines } from "./folds";
import { drawMarks } from "./marks";
import type { LogReader } from "./reader";
import { LogRow } from "./rows";
import type { LogSearch } from "./search";
import type { LineSelection } from "./line-selection";
import { inRange } from "./selection";
import { digitsOf } from "./visible-rows";
import type { LogWindow } from "./window";

export interface LogLinesProps {
  reader: LogReader;
  view: LogWindow;
  search: LogSearch;
  selection: LineSelection;
  wrap: boolean;
  times: boolean;
}

export function LogLines(props: LogLinesProps) {
  let scroller!: HTMLDivElement;
  let rows!: HTMLDivElement;
  const view = props.view;
  onMount(() => view.attach(scroller, rows));
  const digits = () => {
    props.reader.version();
    return digitsOf(props.reader.store.total);
  };
  return (
    <div class="log-scroller" ref={scroller} tabindex="0" role="region" aria-label="Log lines" classList={{ "is-wrapped": props.wrap }}>
      <div class="log-space" style={{ height: `${view.height()}px`, "--digits": digits() }}>
        <div class="log-window" style={{ height: `${view.viewport()}px` }} classList={{ "at-end": view.following() }}>
          <div class="log-rows" ref={rows} style={{ transform: view.following() ? "none" : `translateY(${view.shift()}px)` }}>
            <For each={view.rows()}>
              {(row) => (
                <LogRow
                  row={row}
                  words={props.search.words()}
                  times={props.times}
                  selected={inRange(props.selection.range(), row.number)}
                  current={props.search.currentLine() === row.number}
                  folded={view.folded().has(row.number)}
                  hiddenLines={hiddenLines(props.reader.sections(), row.number)}
                  onFold={() => view.fold(row.number, !view.folded().has(row.number))}
                  onSelect={(shift) => props.selection.select(row.number, shift)}
                />
              )}
            </For>
          </div>
        </div>
      </div>
    </div>
  );
}

/** The matches of the search beside the scroll bar. */
export function LogMarks(props: { view: LogWindow; search: LogSearch }) {
  let canvas!: HTMLCanvasElement;
  createEffect(() => {
    const folding = props.view.folding();
    const last = Math.max(1, folding.rows - 1);
    const fractionOf = (line: number): number => folding.rowOfLine(line) / last;
    props.view.viewport(); // a change of the size clears the canvas
    const current = props.search.currentLine();
    drawMarks(canvas, props.search.lines().map(fractionOf), current === undefined ? undefined : fractionOf(current));
  });
  return <canvas class="log-marks" ref={canvas} aria-hidden="true" />;
}

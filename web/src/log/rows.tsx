/** One row of the log: number, time, fold, text. Everything is text; nothing of a log is ever markup. */
import { createMemo, Index, Show } from "solid-js";
import { clock } from "../kit/time";
import { spans, withHits } from "./text";
import type { Line } from "./store";

export interface RowView {
  number: number;
  line: Line | undefined;
  /** It begins a section of a step that can be folded. */
  head: boolean;
}

export interface RowProps {
  row: RowView;
  words: string;
  times: boolean;
  selected: boolean;
  current: boolean;
  folded: boolean;
  hiddenLines: number;
  onFold: () => void;
  onSelect: (shift: boolean) => void;
}

export function LogRow(props: RowProps) {
  const line = () => props.row.line;
  const parts = createMemo(() => withHits(spans(line()?.text ?? ""), props.words));
  return (
    <div
      class="log-row"
      classList={{
        "is-selected": props.selected,
        "is-current": props.current,
        "is-note": line()?.note ?? false,
        "is-head": props.row.head,
        "is-missing": !line(),
      }}
      data-line={props.row.number + 1}
    >
      <span class="log-gutter">
        <Show when={props.row.head} fallback={<span class="log-fold" />}>
          <button
            type="button"
            class="log-fold"
            aria-expanded={!props.folded}
            aria-label={`${props.folded ? "Unfold" : "Fold"} step ${line()?.step ?? ""}`}
            onClick={() => props.onFold()}
          />
        </Show>
        <a
          class="log-number"
          href={`#L${props.row.number + 1}`}
          tabindex="-1"
          data-number={props.row.number + 1}
          aria-label={`Line ${props.row.number + 1}`}
          onClick={(event) => {
            event.preventDefault();
            props.onSelect(event.shiftKey);
          }}
        />
        <Show when={props.times}>
          <span class="log-time" data-time={timeOf(line())} />
        </Show>
      </span>
      <span class="log-text">
        <Index each={parts()}>
          {(part) => (
            <span
              class={part().classes}
              classList={{ "is-hit": part().hit ?? false }}
              style={{ color: part().foreground, "background-color": part().background }}
            >
              {part().text}
            </span>
          )}
        </Index>
        <Show when={line()?.cut}>
          <span class="log-more" title="The line goes on; the raw log and the download have all of it">
            {" "}
            … cut
          </span>
        </Show>
        <Show when={props.folded && props.hiddenLines > 0}>
          <span class="log-more" data-hidden={`${props.hiddenLines.toLocaleString("en")} lines folded`} />
        </Show>
        {"\n"}
      </span>
    </div>
  );
}

function timeOf(line: Line | undefined): string {
  return line?.time ? clock(line.time) : "";
}

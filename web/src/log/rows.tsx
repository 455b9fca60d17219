/** One row of the log: number, time, fold, text. A log is always rendered as text, never as markup. */
import { createMemo, Index, Show } from "solid-js";
import { timeOfDay } from "../kit/time";
import type { Line } from "./store";
import { spans, withMatches } from "./text";
import type { RowView } from "./visible-rows";

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
  const parts = createMemo(() => withMatches(spans(line()?.text ?? ""), props.words));
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
              classList={{ "is-match": part().match ?? false }}
              style={{ color: part().foreground, "background-color": part().background }}
            >
              {part().text}
            </span>
          )}
        </Index>
        <Show when={line()?.cut}>
          <span class="log-more" title="Truncated line; the raw log and the download contain all of it">
            {" "}
            … truncated
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
  return line?.time ? timeOfDay(line.time) : "";
}

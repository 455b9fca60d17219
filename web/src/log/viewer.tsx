/** The log viewer: rows on the screen, links to lines, search, folds, and the end kept in sight while lines come. */
import "../styles/log.css";
import { createEffect, createMemo, createSignal, For, onCleanup, onMount, Show, untrack } from "solid-js";
import { useCommands } from "../kit/keys";
import { createSwitch } from "../kit/preferences";
import { count } from "../kit/sizes";
import { Icon } from "../parts/icons";
import { Refused } from "../parts/refused";
import { drawMarks } from "./marks";
import type { LogReader } from "./reader";
import { LogRow } from "./rows";
import { createLogSearch } from "./search";
import { formatRange, inRange, parseRange, type LineRange } from "./selection";
import { LogToolbar } from "./toolbar";
import { lastDrawn, plain } from "./text";
import { createLogWindow } from "./window";

export interface LogViewerProps {
  reader: LogReader;
  live: boolean;
  rawHref: string;
  /** Where a reader who came without a line begins: at the end, or at the line of this offset's step. */
  beginAt: "start" | "end";
  onlyStep: string | undefined;
  onAllSteps: () => void;
  empty: string;
}

const [wrap, setWrap] = createSwitch("log-wrap", false);
const [times, setTimes] = createSwitch("log-times", false);

export function LogViewer(props: LogViewerProps) {
  const reader = props.reader;
  const view = createLogWindow(reader, () => props.live, wrap);
  const search = createLogSearch(reader, (line) => view.toLine(line));
  const [range, setRange] = createSignal<LineRange | undefined>(parseRange(location.hash));
  const [seen, setSeen] = createSignal(0);
  let scroller!: HTMLDivElement;
  let rows!: HTMLDivElement;
  let marks!: HTMLCanvasElement;

  onMount(() => view.attach(scroller, rows));

  // Where to begin, once the log is there.
  let begun = false;
  createEffect(() => {
    if (begun || !reader.ready() || view.viewport() === 0) return;
    if (view.folding().rows === 0 && reader.store.total > 0) return;
    begun = true;
    untrack(() => {
      const wanted = range();
      if (wanted) view.toLine(wanted.first);
      else if (props.beginAt === "end") view.toEnd();
    });
  });
  createEffect(() => {
    if (times()) reader.store.forgetLive();
  });
  createEffect(() => {
    reader.version();
    if (view.following()) setSeen(reader.store.appended);
  });
  const fresh = createMemo(() => {
    reader.version();
    return reader.store.appended - seen();
  });
  createEffect(() => {
    const total = Math.max(1, view.folding().rows - 1);
    const place = (line: number): number => view.folding().rowOfLine(line) / total;
    view.viewport();
    const current = search.currentLine();
    drawMarks(marks, search.lines().map(place), current === undefined ? undefined : place(current));
  });

  const followHash = (): void => {
    const wanted = parseRange(location.hash);
    setRange(wanted);
    if (wanted) view.toLine(wanted.first);
  };
  addEventListener("hashchange", followHash);
  onCleanup(() => removeEventListener("hashchange", followHash));

  function select(line: number, extend: boolean): void {
    const before = range();
    const next = extend && before ? { first: Math.min(before.first, line), last: Math.max(before.first, line) } : { first: line, last: line };
    const same = before && before.first === next.first && before.last === next.last;
    setRange(same ? undefined : next);
    history.replaceState(history.state, "", same ? location.pathname + location.search : `#${formatRange(next)}`);
  }

  useCommands([
    { key: "/", what: "search the log", act: () => search.focus() },
    { key: "n", what: "next hit", act: () => search.step(1) },
    { key: "N", what: "previous hit", act: () => search.step(-1) },
    { key: "g", what: "first line of the log", act: () => view.toStart() },
    { key: "G", what: "last line of the log", act: () => view.toEnd() },
    { key: "w", what: "wrap long lines", act: () => setWrap(!wrap()) },
    { key: "t", what: "show times", act: () => setTimes(!times()) },
  ]);

  const digits = () => {
    reader.version();
    return Math.max(3, String(reader.store.total).length);
  };
  const hiddenLines = (first: number): number => {
    const section = reader.sections().find((one) => one.first === first);
    return section ? section.lines - 1 : 0;
  };
  return (
    <section class="log" aria-label="Log">
      <LogToolbar
        search={search}
        wrap={wrap()}
        onWrap={setWrap}
        times={times()}
        onTimes={setTimes}
        canFold={reader.sections().some((one) => one.step > 0 && one.lines > 1)}
        allFolded={view.folded().size > 0}
        onFoldAll={view.foldAll}
        rawHref={props.rawHref}
        range={range()}
        onCopy={() => copyRange(reader, range())}
        onlyStep={props.onlyStep}
        onAllSteps={props.onAllSteps}
      />
      <div class="log-frame">
        <div class="log-scroller" ref={scroller} tabindex="0" role="region" aria-label="Lines of the log" classList={{ "is-wrapped": wrap() }}>
          <div class="log-space" style={{ height: `${view.height()}px`, "--digits": digits() }}>
            <div class="log-window" style={{ height: `${view.viewport()}px` }} classList={{ "at-end": view.following() }}>
              <div class="log-rows" ref={rows} style={{ transform: view.following() ? "none" : `translateY(${view.shift()}px)` }}>
                <For each={view.rows()}>
                  {(row) => (
                    <LogRow
                      row={row}
                      words={search.words()}
                      times={times()}
                      selected={inRange(range(), row.number)}
                      current={search.currentLine() === row.number}
                      folded={view.folded().has(row.number)}
                      hiddenLines={hiddenLines(row.number)}
                      onFold={() => view.fold(row.number, !view.folded().has(row.number))}
                      onSelect={(shift) => select(row.number, shift)}
                    />
                  )}
                </For>
              </div>
            </div>
          </div>
        </div>
        <canvas class="log-marks" ref={marks} aria-hidden="true" />
        <Show when={reader.ready() && reader.store.total === 0 && reader.version() >= 0}>
          <p class="log-empty">{props.empty}</p>
        </Show>
        <Show when={reader.problem()}>{(problem) => <Refused problem={problem()} onAgain={() => void reader.start()} />}</Show>
        <Show when={props.live && reader.ready() && !view.following() && view.viewport() > 0}>
          <button type="button" class="button log-follow" onClick={() => view.toEnd()}>
            <Icon name="down" />
            {fresh() > 0 ? `${count(fresh(), "new line")} · follow` : "Follow the end"}
          </button>
        </Show>
      </div>
    </section>
  );
}

async function copyRange(reader: LogReader, range: LineRange | undefined): Promise<void> {
  if (!range) return;
  const texts = await reader.texts(range.first, range.last - range.first + 1);
  await navigator.clipboard.writeText(`${texts.map((text) => plain(lastDrawn(text))).join("\n")}\n`);
}

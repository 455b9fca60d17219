/** The log viewer: the rows on the screen, links to lines, search, folds, and a view that follows a live log. */
import "../styles/log.css";
import { createEffect, Show, untrack } from "solid-js";
import { useCommands } from "../kit/keys";
import { createSwitch } from "../kit/preferences";
import { ErrorNotice } from "../parts/error-notice";
import { createUnseenLines, FollowButton } from "./follow-button";
import { isFoldable } from "./folds";
import { createLineSelection } from "./line-selection";
import { LogLines, LogMarks } from "./lines";
import type { LogReader } from "./reader";
import { createLogSearch, type LogSearch } from "./search";
import { linesIn, type LineRange } from "./selection";
import { LogToolbar } from "./toolbar";
import { lastDrawn, plain } from "./text";
import { createLogWindow, type LogWindow } from "./window";

export interface LogViewerProps {
  reader: LogReader;
  live: boolean;
  rawHref: string;
  /** Where reading begins if the address has no line. */
  beginAt: "start" | "end";
  /** The name of the step whose output alone is shown. */
  onlyStep: string | undefined;
  onAllSteps: () => void;
  /** Shown while the log has no lines. */
  empty: string;
}

const [wrap, setWrap] = createSwitch("log-wrap", false);
const [times, setTimes] = createSwitch("log-times", false);

export function LogViewer(props: LogViewerProps) {
  const reader = props.reader;
  const view = createLogWindow(reader, () => props.live, wrap);
  const search = createLogSearch(reader, (line) => view.toLine(line));
  const selection = createLineSelection((line) => view.toLine(line));
  const unseen = createUnseenLines(reader, view.following);
  openOnce(reader, view, () => {
    const wanted = selection.range();
    if (wanted) view.toLine(wanted.first);
    else if (props.beginAt === "end") view.toEnd();
  });
  createEffect(() => {
    if (times()) reader.store.dropUntimed();
  });
  useLogCommands(view, search);

  return (
    <section class="log" aria-label="Log">
      <LogToolbar
        search={search}
        wrap={wrap()}
        onWrap={setWrap}
        times={times()}
        onTimes={setTimes}
        canFold={reader.sections().some(isFoldable)}
        allFolded={view.folded().size > 0}
        onFoldAll={view.foldAll}
        rawHref={props.rawHref}
        selected={linesIn(selection.range())}
        onCopy={() => copyRange(reader, selection.range())}
        onlyStep={props.onlyStep}
        onAllSteps={props.onAllSteps}
      />
      <div class="log-frame">
        <LogLines reader={reader} view={view} search={search} selection={selection} wrap={wrap()} times={times()} />
        <LogMarks view={view} search={search} />
        <Show when={reader.ready() && reader.store.total === 0 && reader.version() >= 0}>
          <p class="log-empty">{props.empty}</p>
        </Show>
        <Show when={reader.problem()}>{(problem) => <ErrorNotice problem={problem()} onRetry={() => void reader.start()} />}</Show>
        <Show when={props.live && reader.ready() && !view.following() && view.viewport() > 0}>
          <FollowButton unseen={unseen()} onClick={() => view.toEnd()} />
        </Show>
      </div>
    </section>
  );
}

/** Calls `open` once, as soon as the log is loaded and its rows can be shown. */
function openOnce(reader: LogReader, view: LogWindow, open: () => void): void {
  let opened = false;
  createEffect(() => {
    if (opened || !reader.ready() || view.viewport() === 0) return;
    if (view.folding().rows === 0 && reader.store.total > 0) return;
    opened = true;
    untrack(open);
  });
}

function useLogCommands(view: LogWindow, search: LogSearch): void {
  useCommands([
    { key: "/", description: "search the log", run: () => search.focus() },
    { key: "n", description: "next match", run: () => search.step(1) },
    { key: "N", description: "previous match", run: () => search.step(-1) },
    { key: "g", description: "first line of the log", run: () => view.toStart() },
    { key: "G", description: "last line of the log", run: () => view.toEnd() },
    { key: "w", description: "wrap long lines", run: () => setWrap(!wrap()) },
    { key: "t", description: "show times", run: () => setTimes(!times()) },
  ]);
}

async function copyRange(reader: LogReader, range: LineRange | undefined): Promise<void> {
  if (!range) return;
  const texts = await reader.texts(range.first, linesIn(range));
  await navigator.clipboard.writeText(`${texts.map((text) => plain(lastDrawn(text))).join("\n")}\n`);
}

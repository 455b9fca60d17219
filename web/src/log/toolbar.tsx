/** The log's toolbar: search, copy, fold, display options, raw log. */
import { createSignal, Show } from "solid-js";
import { Icon } from "../parts/icons";
import type { LogSearch } from "./search";

export interface LogToolbarProps {
  search: LogSearch;
  wrap: boolean;
  onWrap: (on: boolean) => void;
  times: boolean;
  onTimes: (on: boolean) => void;
  canFold: boolean;
  allFolded: boolean;
  onFoldAll: (on: boolean) => void;
  rawHref: string;
  /** The number of selected lines. */
  selected: number;
  onCopy: () => Promise<void>;
  onlyStep: string | undefined;
  onAllSteps: () => void;
}

/** How long the result of copying is shown. */
const COPIED_MS = 2000;

export function LogToolbar(props: LogToolbarProps) {
  return (
    <div class="log-bar" role="toolbar" aria-label="Log">
      <SearchField search={props.search} />
      <Show when={props.onlyStep}>
        {(name) => (
          <button type="button" class="tool is-on" onClick={() => props.onAllSteps()}>
            only {name()} <Icon name="close" />
          </button>
        )}
      </Show>
      <span class="grow" />
      <CopyButton lines={props.selected} onCopy={props.onCopy} />
      <Show when={props.canFold}>
        <button type="button" class="tool" onClick={() => props.onFoldAll(!props.allFolded)}>
          {props.allFolded ? "Unfold" : "Fold"}
        </button>
      </Show>
      <button type="button" class="tool" aria-pressed={props.times} onClick={() => props.onTimes(!props.times)}>
        Times
      </button>
      <button type="button" class="tool" aria-pressed={props.wrap} onClick={() => props.onWrap(!props.wrap)}>
        Wrap
      </button>
      <a class="tool" href={props.rawHref} rel="external" target="_blank">
        Raw
      </a>
      <a class="tool" href={props.rawHref} rel="external" download="log.txt" aria-label="Download the log">
        <Icon name="download" />
      </a>
    </div>
  );
}

function SearchField(props: { search: LogSearch }) {
  return (
    <>
      <label class="field log-search">
        <Icon name="search" />
        <span class="hidden">Search the log</span>
        <input
          ref={props.search.field}
          type="search"
          placeholder="Search the log  /"
          spellcheck={false}
          maxlength={200}
          value={props.search.words()}
          onInput={(event) => props.search.setWords(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            props.search.step(event.shiftKey ? -1 : 1);
          }}
        />
      </label>
      <span class="log-status" role="status">
        {props.search.summary()}
      </span>
      <Show when={props.search.lines().length > 0}>
        <button type="button" class="tool" aria-label="Previous match" onClick={() => props.search.step(-1)}>
          <Icon name="up" />
        </button>
        <button type="button" class="tool" aria-label="Next match" onClick={() => props.search.step(1)}>
          <Icon name="down" />
        </button>
      </Show>
    </>
  );
}

function CopyButton(props: { lines: number; onCopy: () => Promise<void> }) {
  const [result, setResult] = createSignal("");
  async function copy(): Promise<void> {
    try {
      await props.onCopy();
      setResult("Copied");
    } catch {
      setResult("The browser blocked copying");
    }
    setTimeout(() => setResult(""), COPIED_MS);
  }
  return (
    <>
      <span class="log-status" role="status">
        {result()}
      </span>
      <Show when={props.lines > 0}>
        <button type="button" class="tool" onClick={() => void copy()}>
          <Icon name="copy" /> {props.lines === 1 ? "Copy line" : `Copy ${props.lines} lines`}
        </button>
      </Show>
    </>
  );
}

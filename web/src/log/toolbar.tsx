/** What can be done with a log, in one line. */
import { createSignal, Show } from "solid-js";
import { Icon } from "../parts/icons";
import type { LogSearch } from "./search";
import type { LineRange } from "./selection";

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
  range: LineRange | undefined;
  onCopy: () => Promise<void>;
  onlyStep: string | undefined;
  onAllSteps: () => void;
}

export function LogToolbar(props: LogToolbarProps) {
  const [copied, setCopied] = createSignal("");
  async function copy(): Promise<void> {
    try {
      await props.onCopy();
      setCopied("copied");
    } catch {
      setCopied("the browser did not let us copy");
    }
    setTimeout(() => setCopied(""), 2000);
  }
  const lines = () => (props.range ? props.range.last - props.range.first + 1 : 0);
  return (
    <div class="log-bar" role="toolbar" aria-label="Log">
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
      <span class="log-hits" role="status">
        {props.search.summary()}
      </span>
      <Show when={props.search.lines().length > 0}>
        <button type="button" class="tool" aria-label="Previous hit" onClick={() => props.search.step(-1)}>
          <Icon name="up" />
        </button>
        <button type="button" class="tool" aria-label="Next hit" onClick={() => props.search.step(1)}>
          <Icon name="down" />
        </button>
      </Show>
      <Show when={props.onlyStep}>
        {(name) => (
          <button type="button" class="tool is-on" onClick={() => props.onAllSteps()}>
            only {name()} <Icon name="close" />
          </button>
        )}
      </Show>
      <span class="grow" />
      <span class="log-hits" role="status">
        {copied()}
      </span>
      <Show when={lines() > 0}>
        <button type="button" class="tool" onClick={() => void copy()}>
          <Icon name="copy" /> {lines() === 1 ? "Copy line" : `Copy ${lines()} lines`}
        </button>
      </Show>
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

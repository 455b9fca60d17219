/** The search in a log as signals: the server searches the whole log, the user steps through the matches. */
import { createEffect, createMemo, createSignal, on, onCleanup, type Accessor } from "solid-js";
import { ApiError } from "../api/client";
import { nextOf, stepped, summaryOf, withPage, type Matches } from "./matches";
import type { LogReader } from "./reader";

/** From the last key press until the search is sent. */
const DEBOUNCE_MS = 180;

export interface LogSearch {
  words: Accessor<string>;
  setWords: (words: string) => void;
  /** Lines with matches, counted from 0, in order. */
  lines: Accessor<readonly number[]>;
  /** The position among the matches, or why the search failed. */
  summary: Accessor<string>;
  currentLine: Accessor<number | undefined>;
  step: (by: number) => void;
  focus: () => void;
  /** Sets the input element. */
  field: (element: HTMLInputElement) => void;
}

/** `show` is called with the line of each match that becomes the current one. */
export function createLogSearch(reader: Pick<LogReader, "search">, show: (line: number) => void): LogSearch {
  const [words, setWords] = createSignal("");
  const [matches, setMatches] = createSignal<Matches | undefined>(undefined);
  const [at, setAt] = createSignal(-1);
  const [problem, setProblem] = createSignal("");
  let element: HTMLInputElement | undefined;
  let running: AbortController | undefined;
  const lines = createMemo(() => matches()?.lines ?? []);

  function goTo(index: number): void {
    setAt(index);
    const line = lines()[index];
    if (line !== undefined) show(line);
  }

  async function search(wanted: string): Promise<void> {
    const controller = (running = new AbortController());
    try {
      let from: number | null = 0;
      let found: Matches | undefined;
      while (from !== null) {
        const page = await reader.search(wanted, from, controller.signal);
        if (controller.signal.aborted) return;
        found = withPage(found, page);
        setProblem("");
        setMatches(found);
        if (at() < 0 && found.lines.length > 0) goTo(0);
        from = nextOf(found, page);
      }
    } catch (error) {
      if (controller.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      setProblem(error.message);
    }
  }

  createEffect(
    on(words, (wanted) => {
      running?.abort();
      setMatches(undefined);
      setAt(-1);
      setProblem("");
      if (!wanted) return;
      const timer = setTimeout(() => void search(wanted), DEBOUNCE_MS);
      onCleanup(() => clearTimeout(timer));
    }),
  );
  onCleanup(() => running?.abort());

  return {
    words,
    setWords,
    lines,
    summary: () => problem() || summaryOf(matches(), at()),
    currentLine: () => lines()[at()],
    step: (by) => goTo(stepped(at(), by, lines().length)),
    focus: () => {
      element?.focus();
      element?.select();
    },
    field: (input) => {
      element = input;
    },
  };
}

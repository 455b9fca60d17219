/** A search in a log: the server looks through all of it, the reader steps through the hits. */
import { createEffect, createMemo, createSignal, on, onCleanup, type Accessor } from "solid-js";
import { Refusal } from "../api/client";
import type { HitPage } from "../api/types";
import type { LogReader } from "./reader";

/** After the last letter typed. */
const PAUSE_MS = 180;

export interface LogSearch {
  words: Accessor<string>;
  setWords: (words: string) => void;
  /** Lines with hits, counted from 0, in order. */
  lines: Accessor<readonly number[]>;
  /** "3 of 17", "no hits", "1,000+ hits". */
  summary: Accessor<string>;
  currentLine: Accessor<number | undefined>;
  step: (by: number) => void;
  focus: () => void;
  field: (element: HTMLInputElement) => void;
}

export function createLogSearch(reader: LogReader, show: (line: number) => void): LogSearch {
  const [words, setWords] = createSignal("");
  const [page, setPage] = createSignal<HitPage | undefined>(undefined);
  const [at, setAt] = createSignal(-1);
  const [problem, setProblem] = createSignal("");
  let element: HTMLInputElement | undefined;
  let running: AbortController | undefined;
  const lines = createMemo(() => page()?.hits.map((hit) => hit.line - 1) ?? []);

  async function look(wanted: string): Promise<void> {
    const mine = (running = new AbortController());
    try {
      const found = await reader.search(wanted, mine.signal);
      if (mine.signal.aborted) return;
      setProblem("");
      setPage(found);
      const first = found.hits[0];
      setAt(first ? 0 : -1);
      if (first) show(first.line - 1);
    } catch (error) {
      if (mine.signal.aborted) return;
      if (!(error instanceof Refusal)) throw error;
      setProblem(error.message);
    }
  }

  createEffect(
    on(words, (wanted) => {
      running?.abort();
      setPage(undefined);
      setAt(-1);
      setProblem("");
      if (!wanted) return;
      const timer = setTimeout(() => void look(wanted), PAUSE_MS);
      onCleanup(() => clearTimeout(timer));
    }),
  );
  onCleanup(() => running?.abort());

  return {
    words,
    setWords,
    lines,
    summary: () => {
      const found = page();
      if (problem()) return problem();
      if (!found) return "";
      const total = `${found.hits.length.toLocaleString("en")}${found.next === null ? "" : "+"}`;
      return found.hits.length === 0 ? "no hits" : `${(at() + 1).toLocaleString("en")} of ${total}`;
    },
    currentLine: () => lines()[at()],
    step: (by) => {
      const all = lines();
      if (all.length === 0) return;
      const next = (at() + by + all.length) % all.length;
      setAt(next);
      const line = all[next];
      if (line !== undefined) show(line);
    },
    focus: () => {
      element?.focus();
      element?.select();
    },
    field: (made) => {
      element = made;
    },
  };
}

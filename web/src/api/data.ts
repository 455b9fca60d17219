/** What a page shows of the server: loaded when its address changes, loaded again when something happened. */
import { createEffect, createSignal, on, onCleanup, type Accessor } from "solid-js";
import { get, Refusal } from "./client";

/** A spinner that is gone after a blink only disturbs. */
const PATIENCE_MS = 200;

export interface Data<T> {
  value: Accessor<T | undefined>;
  problem: Accessor<Refusal | undefined>;
  /** True when it takes so long that one should say so. */
  slow: Accessor<boolean>;
  reload: () => void;
  change: (next: (value: T) => T) => void;
}

/** `path`: undefined for nothing to load. The old value stays while the next one of the same path is loaded. */
export function createData<T>(path: Accessor<string | undefined>): Data<T> {
  const [value, setValue] = createSignal<T | undefined>(undefined);
  const [problem, setProblem] = createSignal<Refusal | undefined>(undefined);
  const [slow, setSlow] = createSignal(false);
  let running: AbortController | undefined;
  let meanwhile: ((value: T) => T)[] = []; // changes heard while an answer was on its way, which may be older than they are

  async function load(wanted: string): Promise<void> {
    running?.abort();
    const mine = (running = new AbortController());
    const timer = setTimeout(() => setSlow(true), PATIENCE_MS);
    try {
      const found = await get<T>(wanted, mine.signal);
      if (running === mine) {
        setProblem(undefined);
        let shown: T = found;
        for (const next of meanwhile) shown = next(shown);
        setValue((): T | undefined => shown);
      }
    } catch (error) {
      if (mine.signal.aborted) return;
      if (!(error instanceof Refusal)) throw error;
      setProblem(error);
    } finally {
      clearTimeout(timer);
      if (running === mine) {
        running = undefined;
        meanwhile = [];
        setSlow(false);
      }
    }
  }

  createEffect(
    on(path, (wanted, before) => {
      if (wanted?.split("?")[0] !== before?.split("?")[0]) setValue(undefined);
      setProblem(undefined);
      if (wanted) void load(wanted);
      else running?.abort();
    }),
  );
  onCleanup(() => running?.abort());
  return {
    value,
    problem,
    slow,
    reload: () => {
      const wanted = path();
      if (wanted) void load(wanted);
    },
    change: (next) => {
      if (running) meanwhile.push(next);
      setValue((before) => (before === undefined ? before : next(before)));
    },
  };
}

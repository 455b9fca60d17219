/** Data of the API as signals: loaded when the path changes, and again on request. */
import { createEffect, createSignal, on, onCleanup, type Accessor } from "solid-js";
import { get, ApiError } from "./client";

/** Until a loading message is shown: one that disappears at once only distracts. */
const LOADING_DELAY_MS = 200;

export interface Data<T> {
  value: Accessor<T | undefined>;
  problem: Accessor<ApiError | undefined>;
  /** Loading takes longer than LOADING_DELAY_MS. */
  slow: Accessor<boolean>;
  reload: () => void;
  /** Applies a change to the loaded value, and to the response of a request that is under way. */
  change: (change: (value: T) => T) => void;
}

/** `path`: undefined for nothing to load. The old value stays while only the query of the path changes. */
export function createData<T>(path: Accessor<string | undefined>): Data<T> {
  const [value, setValue] = createSignal<T | undefined>(undefined);
  const [problem, setProblem] = createSignal<ApiError | undefined>(undefined);
  const [slow, setSlow] = createSignal(false);
  let running: AbortController | undefined;
  let queued: ((value: T) => T)[] = []; // changes during a request, whose response may be older than they are

  async function load(wanted: string): Promise<void> {
    running?.abort();
    const controller = (running = new AbortController());
    const timer = setTimeout(() => setSlow(true), LOADING_DELAY_MS);
    try {
      const found = await get<T>(wanted, controller.signal);
      if (running === controller) {
        setProblem(undefined);
        let shown: T = found;
        for (const change of queued) shown = change(shown);
        setValue((): T | undefined => shown);
      }
    } catch (error) {
      if (controller.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      setProblem(error);
    } finally {
      clearTimeout(timer);
      if (running === controller) {
        running = undefined;
        queued = [];
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
    change: (change) => {
      if (running) queued.push(change);
      setValue((before) => (before === undefined ? before : change(before)));
    },
  };
}

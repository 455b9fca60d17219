/** What somebody chose once and expects again: kept in this browser only. */
import { createSignal, type Accessor } from "solid-js";

/** A switch that is remembered. */
export function createSwitch(name: string, initial: boolean): [Accessor<boolean>, (on: boolean) => void] {
  const key = `danube-${name}`;
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(key);
  } catch {
    kept = null; // a browser that keeps nothing for us
  }
  const [on, set] = createSignal(kept === null ? initial : kept === "1");
  return [
    on,
    (next) => {
      set(next);
      try {
        localStorage.setItem(key, next ? "1" : "0");
      } catch {
        return; // it holds until the page is left
      }
    },
  ];
}

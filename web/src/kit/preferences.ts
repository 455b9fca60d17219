/** The user's choices, stored in this browser only. */
import { createSignal, type Accessor } from "solid-js";

/** A boolean signal that is stored under a name. */
export function createSwitch(name: string, initial: boolean): [Accessor<boolean>, (on: boolean) => void] {
  const key = `danube-${name}`;
  const stored = read(key);
  const [on, set] = createSignal(stored === null ? initial : stored === "1");
  return [
    on,
    (next) => {
      set(next);
      try {
        localStorage.setItem(key, next ? "1" : "0");
      } catch {
        return; // storage is blocked: the choice lasts until the page is closed
      }
    },
  ];
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // storage is blocked
  }
}

/** The selected lines as a signal that follows the address, and is written to it. */
import { createSignal, onCleanup, type Accessor } from "solid-js";
import { formatRange, parseRange, selectLine, type LineRange } from "./selection";

export interface LineSelection {
  range: Accessor<LineRange | undefined>;
  select: (line: number, extend: boolean) => void;
}

/** `show` is called with the first line when a link leads to other lines. */
export function createLineSelection(show: (line: number) => void): LineSelection {
  const [range, setRange] = createSignal<LineRange | undefined>(parseRange(location.hash));

  const followHash = (): void => {
    const wanted = parseRange(location.hash);
    setRange(wanted);
    if (wanted) show(wanted.first);
  };
  addEventListener("hashchange", followHash);
  onCleanup(() => removeEventListener("hashchange", followHash));

  function select(line: number, extend: boolean): void {
    const next = selectLine(range(), line, extend);
    setRange(next);
    history.replaceState(history.state, "", next ? `#${formatRange(next)}` : location.pathname + location.search);
  }
  return { range, select };
}

/** Keyboard shortcuts: one key for each command, ignored while the user types into a field. */
import { createSignal, onCleanup } from "solid-js";

export interface Command {
  key: string;
  description: string;
  run: () => void;
}

const [commands, setCommands] = createSignal<readonly Command[]>([]);

/** The commands of the components on the page; the help lists them. */
export { commands };

/** Adds commands for the lifetime of the component. For a key with several commands the newest one runs. */
export function useCommands(added: Command[]): void {
  setCommands((before) => [...before, ...added]);
  onCleanup(() => setCommands((before) => before.filter((one) => !added.includes(one))));
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") (event.target as HTMLElement).blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const found = commands().findLast((one) => one.key === event.key);
  if (!found) return;
  event.preventDefault();
  found.run();
});

/** `j` and `k` move the focus over the elements that match a selector, in their order on the page. */
export function useList(selector: string, noun: string): void {
  const move = (by: number): void => {
    const all = [...document.querySelectorAll<HTMLElement>(selector)];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };
  useCommands([
    { key: "j", description: `next ${noun}`, run: () => move(1) },
    { key: "k", description: `previous ${noun}`, run: () => move(-1) },
  ]);
}

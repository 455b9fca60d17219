/** The keyboard: one letter a command, never while somebody types. */
import { createSignal, onCleanup } from "solid-js";

export interface Command {
  key: string;
  what: string;
  act: () => void;
}

const [commands, setCommands] = createSignal<readonly Command[]>([]);

/** What can be done just now; the help shows it. */
export { commands };

/** These work while the component is there; the newest one of a key wins. */
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
  found.act();
});

/** `j` and `k` over the links that a selector finds, in their order on the page. */
export function useList(selector: string, noun: string): void {
  const move = (by: number): void => {
    const all = [...document.querySelectorAll<HTMLElement>(selector)];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };
  useCommands([
    { key: "j", what: `next ${noun}`, act: () => move(1) },
    { key: "k", what: `previous ${noun}`, act: () => move(-1) },
  ]);
}

/** The folded sections of a log as signals. */
import { createMemo, createSignal, type Accessor } from "solid-js";
import type { LogSection } from "../api/types";
import { Folding } from "./folding";
import type { LogReader } from "./reader";

export interface Folds {
  folding: Accessor<Folding>;
  /** First lines of the folded sections. */
  folded: Accessor<ReadonlySet<number>>;
  /** Whether a line is the first of a section that can be folded. */
  isHead: (line: number) => boolean;
  fold: (first: number, on: boolean) => void;
  foldAll: (on: boolean) => void;
  /** Unfolds the section that hides a line. */
  reveal: (line: number) => void;
}

/** Only sections of steps with more than one line can be folded. */
export function isFoldable(section: LogSection): boolean {
  return section.step > 0 && section.lines > 1;
}

/** Lines that disappear when the section that begins with a line is folded. */
export function hiddenLines(sections: readonly LogSection[], first: number): number {
  const section = sections.find((one) => one.first === first);
  return section ? section.lines - 1 : 0;
}

/** The set with a number added or removed. */
export function toggled(numbers: ReadonlySet<number>, number: number, on: boolean): ReadonlySet<number> {
  const next = new Set(numbers);
  if (on) next.add(number);
  else next.delete(number);
  return next;
}

export function createFolds(reader: LogReader): Folds {
  const [folded, setFolded] = createSignal<ReadonlySet<number>>(new Set());
  const folding = createMemo(() => {
    reader.version();
    return new Folding(reader.sections(), folded(), reader.store.total);
  });
  const heads = createMemo(() => new Set(reader.sections().filter(isFoldable).map((one) => one.first)));
  return {
    folding,
    folded,
    isHead: (line) => heads().has(line),
    fold: (first, on) => setFolded((before) => toggled(before, first, on)),
    reveal: (line) => {
      const section = folding().sectionOf(line);
      if (section && section.first !== line && folded().has(section.first)) setFolded((before) => toggled(before, section.first, false));
    },
    foldAll: (on) => {
      const steps = reader.sections().filter((one) => one.step > 0);
      setFolded(new Set(on ? steps.map((one) => one.first) : []));
    },
  };
}

/** The mapping between lines and rows: of a folded section only the first line has a row. */
import type { LogSection } from "../api/types";

/** Hidden lines [from, to), and how many are hidden before them. */
interface Gap {
  from: number;
  to: number;
  before: number;
}

export class Folding {
  private readonly gaps: Gap[] = [];
  private readonly hidden: number;

  /** `sections` in order; `folded`: the first lines of the folded ones; `total`: lines of the log. */
  constructor(
    readonly sections: readonly LogSection[],
    folded: ReadonlySet<number>,
    private readonly total: number,
  ) {
    let before = 0;
    sections.forEach((section, index) => {
      if (!folded.has(section.first)) return;
      const from = section.first + 1;
      const to = index === sections.length - 1 ? total : section.first + section.lines;
      if (to <= from) return;
      this.gaps.push({ from, to, before });
      before += to - from;
    });
    this.hidden = before;
  }

  get rows(): number {
    return Math.max(0, this.total - this.hidden);
  }

  lineOfRow(row: number): number {
    const gap = this.lastGap((one) => one.from - one.before <= row);
    return gap ? row + gap.before + (gap.to - gap.from) : row;
  }

  /** The row of a line; for a hidden line the row of its section's first line. */
  rowOfLine(line: number): number {
    const gap = this.lastGap((one) => one.from <= line);
    if (!gap) return line;
    return line < gap.to ? gap.from - 1 - gap.before : line - gap.before - (gap.to - gap.from);
  }

  /** The section that contains a line. */
  sectionOf(line: number): LogSection | undefined {
    let low = 0;
    let high = this.sections.length - 1;
    let found: LogSection | undefined;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const section = this.sections[middle];
      if (section && section.first <= line) {
        found = section;
        low = middle + 1;
      } else high = middle - 1;
    }
    return found;
  }

  private lastGap(holds: (gap: Gap) => boolean): Gap | undefined {
    let low = 0;
    let high = this.gaps.length - 1;
    let found: Gap | undefined;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const gap = this.gaps[middle];
      if (gap && holds(gap)) {
        found = gap;
        low = middle + 1;
      } else high = middle - 1;
    }
    return found;
  }
}

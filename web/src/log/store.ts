/**
 * A log's lines by number, as far as they are needed: blocks are fetched when somebody looks at them and forgotten when
 * nobody has for a while; live text is appended at the end. Where the text stands in the file is known to the byte, so that
 * a stream that was cut goes on exactly there.
 */
import { lastDrawn } from "./text";
import type { LogLines } from "../api/types";

export interface Line {
  readonly number: number;
  readonly text: string;
  /** There is more of it in the file. */
  readonly cut: boolean;
  /** Unix milliseconds; null where it came live and nobody has asked yet. */
  readonly time: number | null;
  readonly step: number;
  /** A line of Danube's own. */
  readonly note: boolean;
}

export type FetchLines = (first: number, count: number, signal: AbortSignal) => Promise<LogLines>;

export const BLOCK_LINES = 250;

/** Of memory: 50 000 lines, some 10 MB. */
const KEPT_BLOCKS = 200;

/** At a time; more would only wait for each other. */
const MAX_FETCHES = 3;

/** An open line longer than this is shown cut until it ends. */
const OPEN_LINE_LENGTH = 4096;

export class LogStore {
  private readonly blocks = new Map<number, (Line | undefined)[]>();
  private readonly fetching = new Map<number, AbortController>();
  private complete = 0;
  private open = "";
  private openLine: Line | undefined;
  private openIsCut = false;
  private lastStep = 0;
  /** The offset behind the last byte that is known: where a stream goes on. */
  end = 0;
  /** Lines that were appended live, for "so many new lines". */
  appended = 0;

  /** `changed` is called whenever there is something else to show. `failed`: a block could not be fetched. */
  constructor(
    private readonly fetchLines: FetchLines,
    private readonly changed: () => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  get total(): number {
    return this.complete + (this.openLine ? 1 : 0);
  }

  get(number: number): Line | undefined {
    if (number === this.complete) return this.openLine;
    return this.blocks.get(Math.floor(number / BLOCK_LINES))?.[number % BLOCK_LINES];
  }

  /** The newest lines, which say how long the log is. Throws what fetching throws. */
  async start(signal: AbortSignal): Promise<void> {
    this.place(await this.fetchLines(-BLOCK_LINES, BLOCK_LINES, signal), true);
  }

  /** Text that follows what is known; `end`: the offset behind it. */
  append(text: string, end: number): void {
    if (end <= this.end) return; // heard before
    this.end = end;
    const pieces = text.split("\n");
    pieces[0] = this.open + (pieces[0] ?? "");
    this.open = pieces.pop() ?? "";
    for (const piece of pieces) this.finish(piece);
    this.appended += pieces.length;
    const shown = lastDrawn(this.open);
    if (this.open.length > OPEN_LINE_LENGTH) {
      this.openIsCut ||= shown.length > OPEN_LINE_LENGTH;
      this.open = shown.slice(0, OPEN_LINE_LENGTH) + (this.open.endsWith("\r") ? "\r" : "");
    }
    this.openLine =
      this.open === "" && !this.openIsCut ? undefined : this.line(this.complete, shown.slice(0, OPEN_LINE_LENGTH), this.openIsCut);
    this.forget();
    this.changed();
  }

  /** These lines are looked at: what is missing of them is fetched, what is fetched and not looked at any more is let go. */
  want(first: number, last: number): void {
    const from = Math.floor(Math.max(0, first) / BLOCK_LINES);
    const to = Math.floor(Math.max(0, Math.min(last, this.total - 1)) / BLOCK_LINES);
    for (const [block, controller] of this.fetching) {
      if (block < from || block > to) controller.abort();
    }
    for (let block = from; block <= to; block++) {
      if (this.isWhole(block)) this.touch(block);
      else if (!this.fetching.has(block) && this.fetching.size < MAX_FETCHES) void this.fetchBlock(block);
    }
  }

  /** Times are asked for: blocks that came live without them are fetched again when they are looked at. */
  forgetLive(): void {
    for (const [block, lines] of this.blocks) {
      if (lines.some((line) => line && line.time === null)) this.blocks.delete(block);
    }
    this.changed();
  }

  /** Start over from a newer state of the log, keeping nothing of the open line. */
  place(answer: LogLines, isEnd: boolean): void {
    let mark = 0;
    const cut = new Set(answer.cut);
    answer.texts.forEach((text, index) => {
      while (mark + 1 < answer.marks.length && (answer.marks[mark + 1]?.line ?? 0) <= index) mark++;
      const about = answer.marks[mark];
      const number = answer.first + index;
      if (isEnd && answer.open && number === answer.total - 1) {
        this.open = text;
        this.openIsCut = cut.has(index);
        return;
      }
      if (number === this.complete && !isEnd) return; // the open line: the stream knows it better
      this.put({
        number,
        text: lastDrawn(text),
        cut: cut.has(index),
        time: about ? about.time_ms : null,
        step: about?.step ?? 0,
        note: about?.note ?? false,
      });
    });
    if (isEnd) {
      this.complete = answer.total - (answer.open ? 1 : 0);
      this.end = answer.end;
      this.lastStep = answer.marks.at(-1)?.step ?? 0;
      if (!answer.open) {
        this.open = "";
        this.openIsCut = false;
      }
      this.openLine = answer.open ? this.line(this.complete, lastDrawn(this.open), this.openIsCut) : undefined;
    }
    this.forget();
    this.changed();
  }

  close(): void {
    for (const controller of this.fetching.values()) controller.abort();
  }

  private line(number: number, text: string, cut: boolean): Line {
    return { number, text, cut, time: null, step: this.lastStep, note: text.startsWith("--- ") };
  }

  private finish(raw: string): void {
    const shown = lastDrawn(raw);
    const cut = this.openIsCut || shown.length > OPEN_LINE_LENGTH;
    this.put(this.line(this.complete, shown.slice(0, OPEN_LINE_LENGTH), cut));
    this.openIsCut = false;
    this.complete++;
  }

  private put(line: Line): void {
    const block = Math.floor(line.number / BLOCK_LINES);
    let lines = this.blocks.get(block);
    if (!lines) this.blocks.set(block, (lines = new Array<Line | undefined>(BLOCK_LINES)));
    lines[line.number % BLOCK_LINES] = line;
  }

  private isWhole(block: number): boolean {
    const lines = this.blocks.get(block);
    if (!lines) return this.complete <= block * BLOCK_LINES;
    const count = Math.min(BLOCK_LINES, this.complete - block * BLOCK_LINES);
    for (let index = 0; index < count; index++) if (!lines[index]) return false;
    return true;
  }

  private touch(block: number): void {
    const lines = this.blocks.get(block);
    if (!lines) return;
    this.blocks.delete(block); // a Map keeps the order of insertion: the last one was looked at last
    this.blocks.set(block, lines);
  }

  private forget(): void {
    for (const block of this.blocks.keys()) {
      if (this.blocks.size <= KEPT_BLOCKS) return;
      this.blocks.delete(block);
    }
  }

  private async fetchBlock(block: number): Promise<void> {
    const controller = new AbortController();
    this.fetching.set(block, controller);
    try {
      let at = block * BLOCK_LINES;
      const end = Math.min(at + BLOCK_LINES, this.complete);
      while (at < end) {
        const answer = await this.fetchLines(at, end - at, controller.signal);
        this.place(answer, false);
        if (answer.texts.length === 0) return;
        at = answer.first + answer.texts.length;
      }
    } catch (error) {
      if (!controller.signal.aborted) this.failed(error);
    } finally {
      if (this.fetching.get(block) === controller) this.fetching.delete(block);
      this.changed();
    }
  }
}

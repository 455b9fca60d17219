/**
 * A cache of a log's lines by number. Blocks are fetched when they become visible, and the least recently used ones are evicted;
 * live text is appended at the end. The end's offset is known to the byte, so that a stream continues exactly there.
 */
import { lastDrawn } from "./text";
import type { LogLines } from "../api/types";

export interface Line {
  readonly number: number;
  readonly text: string;
  /** Truncated: the file has more of it. */
  readonly cut: boolean;
  /** Unix milliseconds; null for a live line whose time was not fetched yet. */
  readonly time: number | null;
  readonly step: number;
  /** Written by Danube, not by a step. */
  readonly note: boolean;
}

export type FetchLines = (first: number, count: number, signal: AbortSignal) => Promise<LogLines>;

export const BLOCK_LINES = 250;

/** Bounds the memory: 50 000 lines, about 10 MB. */
const MAX_BLOCKS = 200;

/** Concurrent requests; more would only wait for each other. */
const MAX_FETCHES = 3;

/** A longer open line is truncated until it ends. */
const OPEN_LINE_LENGTH = 4096;

export class LogStore {
  private readonly blocks = new Map<number, (Line | undefined)[]>();
  private readonly fetching = new Map<number, AbortController>();
  private complete = 0;
  private open = "";
  private openLine: Line | undefined;
  private openIsCut = false;
  private lastStep = 0;
  /** The offset behind the last known byte, where a stream continues. */
  end = 0;
  /** The number of lines that were appended live. */
  appended = 0;

  /** `changed` is called after each change of the lines, `failed` when a block could not be fetched. */
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

  /** Fetches the newest lines and the log's length. Throws what `fetchLines` throws. */
  async start(signal: AbortSignal): Promise<void> {
    this.insert(await this.fetchLines(-BLOCK_LINES, BLOCK_LINES, signal), true);
  }

  /** Appends live text; `end`: the offset behind it. Text that is already known is ignored. */
  append(text: string, end: number): void {
    if (end <= this.end) return;
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
    this.evict();
    this.changed();
  }

  /** Fetches what is missing of the visible lines, and aborts the requests for lines that are not visible any more. */
  request(first: number, last: number): void {
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

  /** Drops blocks with live lines, which have no times, so that they are fetched with times when they become visible. */
  dropUntimed(): void {
    for (const [block, lines] of this.blocks) {
      if (lines.some((line) => line && line.time === null)) this.blocks.delete(block);
    }
    this.changed();
  }

  /** Stores lines of a response. `isEnd`: they are the newest, so that length, end and open line are set from them too. */
  insert(answer: LogLines, isEnd: boolean): void {
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
      if (number === this.complete && !isEnd) return; // the open line: the stream's text is newer
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
    this.evict();
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
    this.blocks.delete(block); // a Map keeps the order of insertion: the last one is the most recently used
    this.blocks.set(block, lines);
  }

  private evict(): void {
    for (const block of this.blocks.keys()) {
      if (this.blocks.size <= MAX_BLOCKS) return;
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
        this.insert(answer, false);
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

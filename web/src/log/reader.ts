/** A job's log as signals: what the viewer draws, and how the live stream and the search feed it. */
import { createSignal, type Accessor } from "solid-js";
import { get, jobPath, Refusal, withQuery } from "../api/client";
import type { HitPage, LogLines, LogSection, LogSections } from "../api/types";
import { LogStore } from "./store";

/** Behind this a stream would only send what nobody reads: the end is looked at again and the rest fetched when wanted. */
const MAX_CATCH_UP_BYTES = 2_000_000;

/** Of a search: more hits than anybody steps through; the rest is counted as "more". */
const MAX_HITS = 1000;

export class LogReader {
  readonly store: LogStore;
  readonly version: Accessor<number>;
  readonly sections: Accessor<readonly LogSection[]>;
  readonly problem: Accessor<Refusal | undefined>;
  readonly ready: Accessor<boolean>;
  private readonly controller = new AbortController();
  private readonly setVersion: (next: number) => void;
  private readonly setSections: (next: readonly LogSection[]) => void;
  private readonly setProblem: (next: Refusal | undefined) => void;
  private readonly setReady: (next: boolean) => void;
  private count = 0;
  private planned = false;
  private nudged: Promise<void> | undefined;
  private nudgedAgain = false;

  /** `step`: what this step alone printed. */
  constructor(
    private readonly job: string,
    readonly step: number | undefined,
  ) {
    const [version, setVersion] = createSignal(0);
    const [sections, setSections] = createSignal<readonly LogSection[]>([]);
    const [problem, setProblem] = createSignal<Refusal | undefined>(undefined);
    const [ready, setReady] = createSignal(false);
    [this.version, this.sections, this.problem, this.ready] = [version, sections, problem, ready];
    this.setVersion = setVersion;
    this.setSections = setSections;
    this.setProblem = setProblem;
    this.setReady = setReady;
    this.store = new LogStore(
      (first, count, signal) => this.fetchLines(first, count, signal),
      () => this.changed(),
      (error) => this.failed(error),
    );
  }

  private fetchLines(first: number, count: number, signal: AbortSignal): Promise<LogLines> {
    return get<LogLines>(withQuery(jobPath(this.job, "/log/lines"), { first, count, step: this.step }), signal);
  }

  /** At most one drawing a frame, however often lines come. */
  private changed(): void {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => {
      this.planned = false;
      this.setVersion(++this.count);
    });
  }

  private failed(error: unknown): void {
    if (error instanceof Refusal) this.setProblem(error);
    else if (!this.controller.signal.aborted) throw error;
  }

  async start(): Promise<void> {
    try {
      await this.store.start(this.controller.signal);
      this.setProblem(undefined);
      this.setReady(true);
      this.loadSections();
    } catch (error) {
      this.failed(error);
    }
  }

  /** Live text. For one step alone it only says that there may be more. */
  heard(text: string, end: number): void {
    if (this.step === undefined) this.store.append(text, end);
    else this.nudge();
  }

  /** Where a stream should go on; looks at the end again when that is far away. */
  async catchUp(sizeBytes: number): Promise<void> {
    if (this.step !== undefined || sizeBytes - this.store.end > MAX_CATCH_UP_BYTES) await this.start();
  }

  private nudge(): void {
    if (this.nudged) {
      this.nudgedAgain = true;
      return;
    }
    this.nudged = this.start().finally(() => {
      this.nudged = undefined;
      if (this.nudgedAgain) {
        this.nudgedAgain = false;
        this.nudge();
      }
    });
  }

  /** After a step has begun or the job has ended. */
  loadSections(): void {
    if (this.step !== undefined) return;
    get<LogSections>(jobPath(this.job, "/log/sections"), this.controller.signal).then(
      (found) => this.setSections(found.sections),
      (error: unknown) => this.failed(error),
    );
  }

  /** Lines with these words; the whole log is searched by the server. */
  search(words: string, signal: AbortSignal): Promise<HitPage> {
    return get<HitPage>(withQuery(jobPath(this.job, "/log/search"), { q: words, limit: MAX_HITS }), signal);
  }

  /** The texts of lines, as many as a person copies. Raises Refusal. */
  async texts(first: number, count: number): Promise<string[]> {
    const found: string[] = [];
    while (found.length < count) {
      const ask = Math.min(1000, count - found.length);
      const answer = await this.fetchLines(first + found.length, ask, this.controller.signal);
      if (answer.texts.length === 0) break;
      found.push(...answer.texts);
    }
    return found;
  }

  close(): void {
    this.controller.abort();
    this.store.close();
  }
}

/** A job's log as signals for the viewer, fed by requests and by the live stream. */
import { createSignal, type Accessor } from "solid-js";
import { ApiError, get, jobPath, withQuery } from "../api/client";
import type { HitPage, LogLines, LogSection, LogSections } from "../api/types";
import { LogStore } from "./store";

/** Matches in one response: the API's maximum. */
const MAX_MATCHES = 1000;

/** Lines in one request: the API's maximum. */
const MAX_LINES = 1000;

export class LogReader {
  readonly store: LogStore;
  readonly version: Accessor<number>;
  readonly sections: Accessor<readonly LogSection[]>;
  readonly problem: Accessor<ApiError | undefined>;
  readonly ready: Accessor<boolean>;
  private readonly controller = new AbortController();
  private readonly setVersion: (next: number) => void;
  private readonly setSections: (next: readonly LogSection[]) => void;
  private readonly setProblem: (next: ApiError | undefined) => void;
  private readonly setReady: (next: boolean) => void;
  private count = 0;
  private isDrawScheduled = false;
  private reloading: Promise<void> | undefined;
  private reloadAgain = false;

  /** `step`: reads the output of this step only. */
  constructor(
    private readonly job: string,
    readonly step: number | undefined,
  ) {
    const [version, setVersion] = createSignal(0);
    const [sections, setSections] = createSignal<readonly LogSection[]>([]);
    const [problem, setProblem] = createSignal<ApiError | undefined>(undefined);
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

  /** At most one update in each frame, however often lines arrive. */
  private changed(): void {
    if (this.isDrawScheduled) return;
    this.isDrawScheduled = true;
    requestAnimationFrame(() => {
      this.isDrawScheduled = false;
      this.setVersion(++this.count);
    });
  }

  private failed(error: unknown): void {
    if (error instanceof ApiError) this.setProblem(error);
    else if (!this.controller.signal.aborted) throw error;
  }

  /** Loads the end of the log. May be called again, to retry or to reload. */
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

  /** Live text of the whole log. For a single step it only signals that there may be more, so the end is reloaded. */
  append(text: string, end: number): void {
    if (this.step === undefined) this.store.append(text, end);
    else this.reload();
  }

  /** Reloads the end; calls during a reload are merged into one more reload. */
  private reload(): void {
    if (this.reloading) {
      this.reloadAgain = true;
      return;
    }
    this.reloading = this.start().finally(() => {
      this.reloading = undefined;
      if (this.reloadAgain) {
        this.reloadAgain = false;
        this.reload();
      }
    });
  }

  /** To be called after a step has started or the job has ended. */
  loadSections(): void {
    if (this.step !== undefined) return;
    get<LogSections>(jobPath(this.job, "/log/sections"), this.controller.signal).then(
      (found) => this.setSections(found.sections),
      (error: unknown) => this.failed(error),
    );
  }

  /** A page of lines in which the words are seen, from an offset on; lines count as this reader's do. */
  search(words: string, from: number, signal: AbortSignal): Promise<HitPage> {
    const query = { q: words, limit: MAX_MATCHES, from, step: this.step };
    return get<HitPage>(withQuery(jobPath(this.job, "/log/search"), query), signal);
  }

  /** The texts of a range of lines. Throws ApiError. */
  async texts(first: number, count: number): Promise<string[]> {
    const found: string[] = [];
    while (found.length < count) {
      const size = Math.min(MAX_LINES, count - found.length);
      const answer = await this.fetchLines(first + found.length, size, this.controller.signal);
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

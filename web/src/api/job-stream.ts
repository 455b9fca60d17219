/**
 * One job's news: its log from an offset, its steps, its state. A cut connection is told of and continued at the very byte;
 * a tab that nobody looks at lets its connection go, since browsers have few, and goes on when it is looked at again.
 */
import { Backoff } from "../kit/backoff";
import { jobPath } from "./client";
import type { Connection } from "./list-stream";
import type { Job, JobDetail, Step } from "./types";

export interface JobListener {
  snapshot: (job: JobDetail) => void;
  job: (job: Job) => void;
  step: (step: Step) => void;
  /** `end`: the offset behind the text. */
  log: (text: string, end: number) => void;
  ended: () => void;
  connection: (state: Connection) => void;
}

export class JobStream {
  private source: EventSource | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private over = false;
  private readonly backoff = new Backoff(500, 15_000);

  /** `offset`: where the log is known to, asked at each connection. */
  constructor(
    private readonly id: string,
    private readonly offset: () => number,
    private readonly listener: JobListener,
  ) {
    document.addEventListener("visibilitychange", this.look);
    this.connect();
  }

  close(): void {
    this.over = true;
    document.removeEventListener("visibilitychange", this.look);
    this.disconnect();
  }

  /** At once, instead of at the next try. */
  connect(): void {
    this.disconnect();
    if (this.over || document.visibilityState === "hidden") return;
    const source = new EventSource(jobPath(this.id, `/events?from=${this.offset()}`));
    this.source = source;
    const on = <T>(name: string, act: (data: T, event: MessageEvent<string>) => void): void => {
      source.addEventListener(name, (event: MessageEvent<string>) => act(JSON.parse(event.data) as T, event));
    };
    on<JobDetail>("snapshot", (job) => {
      this.backoff.reset();
      this.listener.connection("live");
      this.listener.snapshot(job);
    });
    on<Job>("job", (job) => this.listener.job(job));
    on<Step>("step", (step) => this.listener.step(step));
    on<{ text: string }>("log", (data, event) => this.listener.log(data.text, Number(event.lastEventId)));
    on("end", () => {
      this.close();
      this.listener.ended();
    });
    source.onerror = () => {
      this.disconnect();
      this.listener.connection("lost");
      this.timer = setTimeout(() => this.connect(), this.backoff.next());
    };
  }

  private disconnect(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = undefined;
  }

  private readonly look = (): void => {
    if (document.visibilityState === "hidden") this.disconnect();
    else if (!this.source) this.connect();
  };
}

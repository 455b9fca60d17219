/**
 * The event stream of one job: its log from an offset, its steps, its state. After a lost connection it continues at the exact
 * byte. A hidden tab closes its connection, since browsers allow only few, and reconnects when it becomes visible.
 */
import { Backoff } from "../kit/backoff";
import { jobPath } from "./client";
import type { Connection } from "./job-list-stream";
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
  private closed = false;
  private readonly backoff = new Backoff(500, 15_000);

  /** `offset`: up to where the log is known; read at each connection. */
  constructor(
    private readonly id: string,
    private readonly offset: () => number,
    private readonly listener: JobListener,
  ) {
    document.addEventListener("visibilitychange", this.onVisibilityChange);
    this.connect();
  }

  close(): void {
    this.closed = true;
    document.removeEventListener("visibilitychange", this.onVisibilityChange);
    this.disconnect();
  }

  /** Connects at once instead of after the backoff. */
  connect(): void {
    this.disconnect();
    if (this.closed || document.visibilityState === "hidden") return;
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
    source.addEventListener("error", () => {
      this.disconnect();
      this.listener.connection("lost");
      this.timer = setTimeout(() => this.connect(), this.backoff.next());
    });
  }

  private disconnect(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = undefined;
  }

  private readonly onVisibilityChange = (): void => {
    if (document.visibilityState === "hidden") this.disconnect();
    else if (!this.source) this.connect();
  };
}

/** The server's event stream of changes to all jobs. It reconnects with backoff until it is closed. */
import { Backoff } from "../kit/backoff";
import type { Job, JobPage } from "./types";

export type Connection = "connecting" | "live" | "lost";

export type JobListEvent =
  | { kind: "state"; state: Connection }
  | { kind: "snapshot"; jobs: Job[] }
  | { kind: "job"; job: Job };

export interface JobListStream {
  /** Connects at once instead of after the backoff. */
  reconnect: () => void;
  close: () => void;
}

/** Connect, and pass each event to `notify`. */
export function openJobListStream(notify: (event: JobListEvent) => void): JobListStream {
  const backoff = new Backoff(500, 15_000);
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function connect(): void {
    clearTimeout(timer);
    source?.close();
    source = new EventSource("/api/v1/events");
    source.addEventListener("snapshot", (event: MessageEvent<string>) => {
      backoff.reset();
      notify({ kind: "state", state: "live" });
      notify({ kind: "snapshot", jobs: (JSON.parse(event.data) as JobPage).jobs });
    });
    source.addEventListener("job", (event: MessageEvent<string>) => {
      notify({ kind: "job", job: JSON.parse(event.data) as Job });
    });
    source.addEventListener("error", () => {
      source?.close();
      notify({ kind: "state", state: "lost" });
      timer = setTimeout(connect, backoff.next());
    });
  }

  notify({ kind: "state", state: "connecting" });
  connect();
  return {
    reconnect: connect,
    close: () => {
      clearTimeout(timer);
      source?.close();
    },
  };
}

/** The stream of all jobs' changes, connected again for as long as somebody listens. */
import { Backoff } from "../kit/backoff";
import type { Job, JobPage } from "./types";

export type Connection = "connecting" | "live" | "lost";

export type News =
  | { kind: "state"; state: Connection }
  | { kind: "snapshot"; jobs: Job[] }
  | { kind: "job"; job: Job };

/** Begin to follow; `again` connects at once instead of at the next try. */
export function followList(tell: (news: News) => void): { again: () => void; close: () => void } {
  const backoff = new Backoff(500, 15_000);
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function connect(): void {
    clearTimeout(timer);
    source?.close();
    source = new EventSource("/api/v1/events");
    source.addEventListener("snapshot", (event: MessageEvent<string>) => {
      backoff.reset();
      tell({ kind: "state", state: "live" });
      tell({ kind: "snapshot", jobs: (JSON.parse(event.data) as JobPage).jobs });
    });
    source.addEventListener("job", (event: MessageEvent<string>) => {
      tell({ kind: "job", job: JSON.parse(event.data) as Job });
    });
    source.onerror = () => {
      source?.close();
      tell({ kind: "state", state: "lost" });
      timer = setTimeout(connect, backoff.next());
    };
  }

  tell({ kind: "state", state: "connecting" });
  connect();
  return {
    again: connect,
    close: () => {
      clearTimeout(timer);
      source?.close();
    },
  };
}

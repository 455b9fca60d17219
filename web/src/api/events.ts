/** The news of all jobs for the whole page: through a worker that all tabs share, or by itself where there is none. */
import { createSignal, onCleanup } from "solid-js";
import { followList, type Connection, type News } from "./list-stream";
import type { Job } from "./types";

const [connection, setConnection] = createSignal<Connection>("connecting");
const listeners = new Set<(news: News) => void>();
let again: () => void = () => undefined;
let stop: (() => void) | undefined;

/** Whether what is shown is live. */
export { connection };

function hear(news: News): void {
  if (news.kind === "state") setConnection(news.state);
  for (const listener of [...listeners]) listener(news);
}

/** Once somebody is logged in. */
export function startEvents(): void {
  if (stop) return;
  if (typeof SharedWorker === "undefined") {
    const stream = followList(hear);
    again = stream.again;
    stop = stream.close;
    return;
  }
  const worker = new SharedWorker(new URL("./events.worker.ts", import.meta.url), { type: "module", name: "danube" });
  worker.port.onmessage = (event: MessageEvent<News>) => hear(event.data);
  const leave = (): void => worker.port.postMessage("bye");
  addEventListener("pagehide", leave);
  again = () => worker.port.postMessage("again");
  stop = () => {
    leave();
    removeEventListener("pagehide", leave);
  };
}

/** After a log-out. */
export function stopEvents(): void {
  stop?.();
  stop = undefined;
}

export function connectAgain(): void {
  again();
}

/** Calls back for each change of a job, and with null when changes may have been missed. Ends with the component. */
export function onJobs(act: (job: Job | null) => void): void {
  let missed = false;
  const listener = (news: News): void => {
    if (news.kind === "job") act(news.job);
    if (news.kind === "state" && news.state === "lost") missed = true;
    if (news.kind === "snapshot" && missed) {
      missed = false;
      act(null);
    }
  };
  listeners.add(listener);
  onCleanup(() => listeners.delete(listener));
}

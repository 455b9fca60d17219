/** Changes of all jobs for the whole page: through a worker that all tabs share, or a stream of its own where workers are missing. */
import { createSignal, onCleanup } from "solid-js";
import type { WorkerRequest } from "./events.worker";
import { openJobListStream, type Connection, type JobListEvent, type JobListStream } from "./job-list-stream";
import type { Job } from "./types";

const [connection, setConnection] = createSignal<Connection>("connecting");
const listeners = new Set<(event: JobListEvent) => void>();
let stream: JobListStream | undefined;

/** Whether what is shown is live. */
export { connection };

function dispatch(event: JobListEvent): void {
  if (event.kind === "state") setConnection(event.state);
  for (const listener of new Set(listeners)) listener(event);
}

/** To be called after a login. */
export function startEvents(): void {
  stream ??= typeof SharedWorker === "undefined" ? openJobListStream(dispatch) : openSharedStream();
}

function openSharedStream(): JobListStream {
  const worker = new SharedWorker(new URL("./events.worker.ts", import.meta.url), { type: "module", name: "danube" });
  const request = (what: WorkerRequest): void => worker.port.postMessage(what);
  const disconnect = (): void => request("disconnect");
  worker.port.onmessage = (message: MessageEvent<JobListEvent>) => dispatch(message.data);
  addEventListener("pagehide", disconnect);
  return {
    reconnect: () => request("reconnect"),
    close: () => {
      disconnect();
      removeEventListener("pagehide", disconnect);
    },
  };
}

/** To be called after a logout. */
export function stopEvents(): void {
  stream?.close();
  stream = undefined;
}

export function reconnect(): void {
  stream?.reconnect();
}

/** Calls back for each change of a job, and with null when changes may have been missed. Ends with the component. */
export function onJobs(callback: (job: Job | null) => void): void {
  let missed = false;
  const listener = (event: JobListEvent): void => {
    if (event.kind === "job") callback(event.job);
    if (event.kind === "state" && event.state === "lost") missed = true;
    if (event.kind === "snapshot" && missed) {
      missed = false;
      callback(null);
    }
  };
  listeners.add(listener);
  onCleanup(() => listeners.delete(listener));
}

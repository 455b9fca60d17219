/**
 * One event stream for all open tabs. Browsers allow six connections to a server, so that with a stream for each tab the
 * seventh tab would wait for ever. A tab receives all events from its connection on; the stream is closed with the last tab.
 */
import { openJobListStream, type JobListEvent, type JobListStream } from "./job-list-stream";

/** What a tab may send. */
export type WorkerRequest = "disconnect" | "reconnect";

interface SharedScope {
  onconnect: ((event: MessageEvent) => void) | null;
}

const ports = new Set<MessagePort>();
let state: JobListEvent | undefined;
let stream: JobListStream | undefined;

function broadcast(event: JobListEvent): void {
  if (event.kind === "state") state = event;
  for (const port of ports) port.postMessage(event);
}

function disconnect(port: MessagePort): void {
  ports.delete(port);
  if (ports.size > 0) return;
  stream?.close();
  stream = undefined;
}

(self as unknown as SharedScope).onconnect = (event) => {
  const port = event.ports[0];
  if (!port) return;
  ports.add(port);
  port.onmessage = (message: MessageEvent<WorkerRequest>) => {
    if (message.data === "disconnect") disconnect(port);
    if (message.data === "reconnect") stream?.reconnect();
  };
  if (stream && state) port.postMessage(state);
  stream ??= openJobListStream(broadcast);
};

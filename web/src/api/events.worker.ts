/**
 * One connection for the news of all jobs, however many tabs are open: browsers allow six connections to a server, and a
 * seventh tab would wait for ever. A tab connects, hears everything from then on, and says "bye"; the last one ends it.
 */
import { followList, type News } from "./list-stream";

interface SharedScope {
  onconnect: ((event: MessageEvent) => void) | null;
}

const ports = new Set<MessagePort>();
let state: News | undefined;
let stream: ReturnType<typeof followList> | undefined;

function tell(news: News): void {
  if (news.kind === "state") state = news;
  for (const port of ports) port.postMessage(news);
}

function leave(port: MessagePort): void {
  ports.delete(port);
  if (ports.size > 0) return;
  stream?.close();
  stream = undefined;
}

(self as unknown as SharedScope).onconnect = (event) => {
  const port = event.ports[0];
  if (!port) return;
  ports.add(port);
  port.onmessage = (message: MessageEvent<string>) => {
    if (message.data === "bye") leave(port);
    if (message.data === "again") stream?.again();
  };
  if (stream && state) port.postMessage(state);
  stream ??= followList(tell);
};

/** What the job page loads, and the event streams that keep it current. */
import { createEffect, createMemo, createSignal, on, onCleanup, type Accessor } from "solid-js";
import { jobPath } from "../api/client";
import { createData, type Data } from "../api/data";
import { onJobs } from "../api/events";
import type { Connection } from "../api/job-list-stream";
import { JobStream } from "../api/job-stream";
import { isFinished, mergeJob, mergeStep } from "../api/merging";
import type { ArtifactList, Explanation, JobDetail, UsedSecrets } from "../api/types";
import { LogReader } from "../log/reader";

export interface JobData {
  job: Data<JobDetail>;
  artifacts: Data<ArtifactList>;
  secrets: Data<UsedSecrets>;
  /** Why the job is waiting; only loaded while it is. */
  explanation: Data<Explanation>;
  log: Accessor<LogReader>;
  /** Whether the job has not finished yet. */
  live: Accessor<boolean>;
  waiting: Accessor<boolean>;
  /** The state of the job's own event stream. */
  connection: Accessor<Connection>;
}

/** `step`: the step whose output alone is shown. */
export function createJobData(id: string, step: Accessor<number | undefined>): JobData {
  const job = createData<JobDetail>(() => jobPath(id));
  const status = () => job.value()?.status;
  const live = () => {
    const known = status();
    return known !== undefined && !isFinished(known);
  };
  const waiting = () => status() === "pending";
  const [connection, setConnection] = createSignal<Connection>("connecting");
  const log = createMemo(() => {
    const reader = new LogReader(id, step());
    onCleanup(() => reader.close());
    void reader.start();
    return reader;
  });
  const data: JobData = {
    job,
    artifacts: createData<ArtifactList>(() => jobPath(id, "/artifacts")),
    secrets: createData<UsedSecrets>(() => jobPath(id, "/secrets")),
    explanation: createData<Explanation>(() => (waiting() ? jobPath(id, "/explanation") : undefined)),
    log,
    live,
    waiting,
    connection,
  };
  followJob(id, data, setConnection);
  return data;
}

/** What changes whenever a wait for an approval begins, is decided or ends; empty while there is none. */
function approvalOf(job: JobDetail | undefined): string {
  return job?.reason === "environment-approval" ? job.message : "";
}

function followJob(id: string, data: JobData, setConnection: (state: Connection) => void): void {
  // The stream starts when the log's end is known, so that it sends no text that is not shown. It is not stopped when the job
  // finishes, since another stream may report that before the last lines have arrived: the server ends it.
  const follows = createMemo<boolean>((before) => before || (data.live() && data.log().ready()), false);
  createEffect(
    on([follows, data.log], ([wanted, log]) => {
      if (!wanted) return;
      const stream = openStream(id, data, log, setConnection);
      onCleanup(() => stream.close());
    }),
  );
  // Who may decide about an environment is in the job's own response only.
  const approval = createMemo(() => approvalOf(data.job.value()));
  createEffect(on(approval, () => data.job.reload(), { defer: true }));
  // The stream of all jobs also reaches a tab in the background, where the job's own stream is closed.
  onJobs((change) => {
    if (change === null) data.explanation.reload();
    else if (change.id === id) data.job.change((before) => mergeJob(before, change));
    else if (data.waiting()) data.explanation.reload();
  });
}

function openStream(id: string, data: JobData, log: LogReader, setConnection: (state: Connection) => void): JobStream {
  return new JobStream(id, () => log.store.end, {
    snapshot: (next) => data.job.change((before) => mergeJob(before, next)),
    job: (next) => data.job.change((before) => mergeJob(before, next)),
    step: (next) => {
      data.job.change((before) => mergeStep(before, next));
      if (next.started_at) log.loadSections();
    },
    log: (text, end) => log.append(text, end),
    ended: () => {
      log.loadSections();
      data.artifacts.reload();
      data.secrets.reload();
      data.job.reload();
      if (log.step !== undefined) void log.start();
    },
    connection: setConnection,
  });
}

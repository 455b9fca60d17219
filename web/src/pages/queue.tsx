/** The queue: running and waiting jobs, deliveries, and for administrators the server itself. */
import { createMemo, For, Show } from "solid-js";
import { API, jobPath } from "../api/client";
import { createData } from "../api/data";
import { onJobs } from "../api/events";
import { mergeJobPage } from "../api/merging";
import { may } from "../api/session";
import type { Explanation, Job, JobPage, System } from "../api/types";
import { useList } from "../kit/keys";
import { count } from "../kit/sizes";
import { useTab } from "../parts/tab";
import { Empty } from "../parts/empty";
import { Loaded } from "../parts/loaded";
import { PageHead } from "../parts/page-head";
import { RunRow } from "../parts/runs";
import { Deliveries } from "./deliveries";
import { SystemSide } from "./system-side";

/** The lists of the first column appear together, so that none is moved by one that is loaded later. */
export default function Queue() {
  const running = createData<JobPage>(() => `${API}/jobs?status=running&limit=200`);
  const pending = createData<JobPage>(() => `${API}/jobs?status=pending&limit=200`);
  const system = createData<System>(() => (may("see-system") ? `${API}/system` : undefined));
  onJobs((job) => {
    if (!job) {
      running.reload();
      pending.reload();
    } else {
      running.change((page) => mergeJobPage(page, job, (one) => one.status === "running"));
      pending.change((page) => mergeJobPage(page, job, (one) => one.status === "pending"));
    }
    system.reload();
  });
  const runningJobs = () => running.value()?.jobs ?? [];
  const waitingJobs = createMemo(() => [...(pending.value()?.jobs ?? [])].reverse());
  useTab(() => `${runningJobs().length} running, ${waitingJobs().length} waiting`);
  useList(".run-link", "job");
  return (
    <div class="page">
      <PageHead title="Queue" under={`${count(runningJobs().length, "job")} running, ${waitingJobs().length} waiting`} />
      <div class="columns">
        <div class="column-main">
          <Loaded data={running}>
            {() => (
              <Loaded data={pending}>
                {() => (
                  <>
                    <Running jobs={runningJobs()} />
                    <Waiting jobs={waitingJobs()} />
                    <Deliveries />
                  </>
                )}
              </Loaded>
            )}
          </Loaded>
        </div>
        <Show when={may("see-system")}>
          <aside class="column-side" aria-label="System">
            <Loaded data={system}>{(one) => <SystemSide system={one()} onChange={system.reload} />}</Loaded>
          </aside>
        </Show>
      </div>
    </div>
  );
}

function Running(props: { jobs: readonly Job[] }) {
  return (
    <section aria-label="Running">
      <h2>Running</h2>
      <Show when={props.jobs.length > 0} fallback={<Empty text="No jobs are running. Start one with:" command="danube trigger PIPELINE" />}>
        <ul class="runs">
          <For each={props.jobs}>{(job) => <RunRow job={job} withPipeline />}</For>
        </ul>
      </Show>
    </section>
  );
}

function Waiting(props: { jobs: readonly Job[] }) {
  return (
    <section aria-label="Waiting">
      <h2>Waiting</h2>
      <Show when={props.jobs.length > 0} fallback={<Empty text="No jobs are waiting." />}>
        <ol class="runs">
          <For each={props.jobs}>{(job) => <WaitingJob job={job} />}</For>
        </ol>
      </Show>
    </section>
  );
}

function WaitingJob(props: { job: Job }) {
  const explanation = createData<Explanation>(() => jobPath(props.job.id, "/explanation"));
  return (
    <>
      <RunRow job={props.job} withPipeline />
      <Show when={explanation.value()?.lines.length}>
        <li class="run-explanation quiet">{explanation.value()?.lines.join(" ")}</li>
      </Show>
    </>
  );
}

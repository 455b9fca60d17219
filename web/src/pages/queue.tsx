/** What runs, what waits and why; for administrators how the server itself is doing, and its drain. */
import { createMemo, For, Show } from "solid-js";
import { API, jobPath, write } from "../api/client";
import { createData } from "../api/data";
import { onJobs } from "../api/events";
import { may } from "../api/session";
import type { Explanation, Job, JobPage, System } from "../api/types";
import { useList } from "../kit/keys";
import { bytes, count } from "../kit/sizes";
import { useTab } from "../kit/tab";
import { Action } from "../parts/action";
import { Icon } from "../parts/icons";
import { RunRow } from "../parts/runs";
import { Ago, Empty, Loaded, PageHead } from "../parts/small";
import { Deliveries } from "./deliveries";
import { mergeJob } from "./pipeline";

/** All of the first column appears at once: nothing that somebody reads is pushed down by what comes later. */
export default function Queue() {
  const running = createData<JobPage>(() => `${API}/jobs?status=running&limit=200`);
  const pending = createData<JobPage>(() => `${API}/jobs?status=pending&limit=200`);
  const system = createData<System>(() => (may("see-system") ? `${API}/system` : undefined));
  onJobs((job) => {
    if (!job) {
      running.reload();
      pending.reload();
    } else {
      running.change((page) => mergeJob(page, job, (one) => one.status === "running"));
      pending.change((page) => mergeJob(page, job, (one) => one.status === "pending"));
    }
    system.reload();
  });
  const waiting = createMemo(() => [...(pending.value()?.jobs ?? [])].reverse());
  useTab(() => `${running.value()?.jobs.length ?? 0} running, ${waiting().length} waiting`);
  useList(".run-link", "job");
  return (
    <div class="page">
      <PageHead title="Queue" under={`${count(running.value()?.jobs.length ?? 0, "job")} running, ${waiting().length} waiting`} />
      <div class="columns">
        <div class="column-main">
          <Loaded data={running}>
            {(page) => (
              <Loaded data={pending}>
                {() => (
                  <>
                    <section aria-label="Running">
                      <h2>Running</h2>
                      <Show when={page().jobs.length > 0} fallback={<Empty what="Nothing runs. Start something with:" command="danube trigger PIPELINE" />}>
                        <ul class="runs">
                          <For each={page().jobs}>{(job) => <RunRow job={job} withPipeline />}</For>
                        </ul>
                      </Show>
                    </section>
                    <section aria-label="Waiting">
                      <h2>Waiting</h2>
                      <Show when={waiting().length > 0} fallback={<Empty what="Nothing waits." />}>
                        <ol class="runs">
                          <For each={waiting()}>{(job) => <Waiting job={job} />}</For>
                        </ol>
                      </Show>
                    </section>
                    <Deliveries />
                  </>
                )}
              </Loaded>
            )}
          </Loaded>
        </div>
        <Show when={may("see-system")}>
          <aside class="column-side" aria-label="System">
            <Loaded data={system}>{(one) => <SystemPart system={one()} onChange={system.reload} />}</Loaded>
          </aside>
        </Show>
      </div>
    </div>
  );
}

function Waiting(props: { job: Job }) {
  const why = createData<Explanation>(() => jobPath(props.job.id, "/explanation"));
  return (
    <>
      <RunRow job={props.job} withPipeline />
      <Show when={why.value()?.lines.length}>
        <li class="run-why quiet">{why.value()?.lines.join(" ")}</li>
      </Show>
    </>
  );
}

function SystemPart(props: { system: System; onChange: () => void }) {
  const used = () => 1 - props.system.disk_free_bytes / Math.max(1, props.system.disk_total_bytes);
  async function ask(verb: "drain" | "resume"): Promise<void> {
    await write("POST", `${API}/system/${verb}`);
    props.onChange();
  }
  return (
    <>
      <section>
        <h2>Drain</h2>
        <Show
          when={props.system.draining.active}
          fallback={
            <>
              <p>The server takes new work.</p>
              <Show when={may("drain")}>
                <Action icon="stop" confirm="Jobs that run go on; nothing new is started until somebody resumes." act={() => ask("drain")}>
                  Drain
                </Action>
              </Show>
            </>
          }
        >
          <p class="notice">
            Draining: nothing new is started. Begun by {props.system.draining.by}
            <Show when={props.system.draining.since}>
              {(since) => (
                <>
                  {" "}
                  <Ago at={since()} />
                </>
              )}
            </Show>
            .
          </p>
          <Show when={may("drain")}>
            <Action icon="play" kind="primary" act={() => ask("resume")}>
              Resume
            </Action>
          </Show>
        </Show>
      </section>
      <section>
        <h2>Health</h2>
        <ul class="parts">
          <For each={props.system.subsystems}>
            {(one) => (
              <li class="part" classList={{ "is-ill": !one.ok }}>
                <Icon name={one.ok ? "check" : "stop"} />
                <span>
                  <b>{one.part}</b> <span class="hidden">{one.ok ? "is well:" : "is not well:"}</span> <span class="quiet">{one.says}</span>
                  <Show when={one.hint}>
                    {" "}
                    <span class="part-hint">{one.hint}</span>
                  </Show>
                </span>
              </li>
            )}
          </For>
        </ul>
      </section>
      <section>
        <h2>Server</h2>
        <dl class="facts">
          <dt>Version</dt>
          <dd>{props.system.version}</dd>
          <dt>Started</dt>
          <dd>
            <Ago at={props.system.started_at} />
          </dd>
          <dt>Jobs at a time</dt>
          <dd>{props.system.max_concurrent_jobs}</dd>
          <For each={Object.entries(props.system.phases).filter(([, amount]) => amount > 0)}>
            {([phase, amount]) => (
              <>
                <dt>{phase}</dt>
                <dd>{amount}</dd>
              </>
            )}
          </For>
          <dt>Disk</dt>
          <dd>
            {bytes(props.system.disk_free_bytes)} free of {bytes(props.system.disk_total_bytes)}
            <meter min="0" max="1" low={0.8} high={0.92} optimum={0.3} value={used()} aria-label="Disk in use" />
          </dd>
        </dl>
      </section>
    </>
  );
}

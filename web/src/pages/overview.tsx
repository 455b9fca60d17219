/** Every pipeline at a glance: is it green, how have the last runs been, what was the last one about. */
import { A, useSearchParams } from "@solidjs/router";
import { createMemo, For, Show } from "solid-js";
import { API } from "../api/client";
import { createData } from "../api/data";
import { onJobs } from "../api/events";
import { isStale } from "../api/merging";
import type { Job, Pipeline, PipelinePage, Run, Status } from "../api/types";
import { useCommands, useList } from "../kit/keys";
import { count } from "../kit/sizes";
import { duration, now, secondsBetween } from "../kit/time";
import { useTab } from "../kit/tab";
import { Icon, STATUS_WORDS, StatusIcon } from "../parts/icons";
import { RunStrip } from "../parts/runs";
import { Ago, Command, Empty, Loaded } from "../parts/small";

const RUNS = 10;

function runOf(job: Job): Run {
  const { id, status, message, created_at, started_at, finished_at } = job;
  return { id, status, message, branch: job.trigger.branch, created_at, started_at, finished_at };
}

/** A change of a job, in the list where it belongs. */
export function withJob(page: PipelinePage, job: Job): PipelinePage {
  return {
    ...page,
    pipelines: page.pipelines.map((one) => {
      if (one.name !== job.pipeline) return one;
      const known = one.newest.find((other) => other.id === job.id);
      if (known && isStale(known.status, job.status)) return one;
      const others = one.newest.filter((other) => other.id !== job.id);
      const newest = [runOf(job), ...others].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, RUNS);
      return { ...one, newest };
    }),
  };
}

export function Overview() {
  const [query, setQuery] = useSearchParams<{ q?: string }>();
  const data = createData<PipelinePage>(() => `${API}/pipelines?runs=${RUNS}`);
  onJobs((job) => (job ? data.change((page) => withJob(page, job)) : data.reload()));

  const shown = createMemo(() => {
    const words = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    return (data.value()?.pipelines ?? []).filter((one) => {
      const text = `${one.name} ${one.team} ${one.repository}`.toLowerCase();
      return !one.removed && words.every((word) => text.includes(word));
    });
  });
  const teams = createMemo(() => {
    const found = new Map<string, Pipeline[]>();
    for (const one of shown()) found.set(one.team, [...(found.get(one.team) ?? []), one]);
    return [...found].sort(([a], [b]) => a.localeCompare(b));
  });
  const latest = (one: Pipeline): Status | undefined => one.newest[0]?.status;
  const red = () => (data.value()?.pipelines ?? []).filter((one) => latest(one) === "failure" || latest(one) === "timeout").length;
  const running = () => (data.value()?.pipelines ?? []).filter((one) => latest(one) === "running").length;
  const overall = (): Status | undefined => (red() > 0 ? "failure" : running() > 0 ? "running" : data.value()?.pipelines.length ? "success" : undefined);
  useTab(() => (red() > 0 ? `${count(red(), "pipeline")} failing` : "Pipelines"), overall);

  let field: HTMLInputElement | undefined;
  useCommands([{ key: "/", what: "search pipelines", act: () => field?.focus() }]);
  useList(".pipeline-name", "pipeline");

  return (
    <div class="page">
      <header class="page-head">
        <div class="page-title">
          <h1>Pipelines</h1>
          <p class="quiet" role="status">
            <Show when={data.value()}>
              {count(shown().length, "pipeline")}
              <Show when={running() > 0}>, {running()} running</Show>
              <Show when={red() > 0}>
                , <span class="bad">{red()} failing</span>
              </Show>
            </Show>
          </p>
        </div>
        <label class="field overview-search">
          <Icon name="search" />
          <span class="hidden">Search pipelines</span>
          <input
            ref={field}
            type="search"
            placeholder="Search pipelines and teams  /"
            spellcheck={false}
            value={query.q ?? ""}
            onInput={(event) => setQuery({ q: event.currentTarget.value || undefined }, { replace: true })}
          />
        </label>
      </header>
      <Loaded data={data}>
        {(page) => (
          <Show
            when={page().pipelines.length > 0}
            fallback={
              <Empty what="No pipeline is configured, or none that you may see. Add a file to pipelines/ of the configuration repository, push it, then:" command="danube config sync" />
            }
          >
            <Show when={shown().length > 0} fallback={<Empty what={`Nothing matches “${query.q ?? ""}”.`} />}>
              <For each={teams()}>
                {([team, pipelines]) => (
                  <section class="team" aria-label={`Team ${team || "none"}`}>
                    <h2>{team || "No team"}</h2>
                    <ul class="pipelines">
                      <For each={pipelines.map((one) => one.name)}>{(name) => <PipelineRow name={name} of={page} />}</For>
                    </ul>
                  </section>
                )}
              </For>
            </Show>
          </Show>
        )}
      </Loaded>
    </div>
  );
}

/** By name, so that a change of its runs changes this row and no other. */
function PipelineRow(props: { name: string; of: () => PipelinePage }) {
  const one = createMemo(() => props.of().pipelines.find((pipeline) => pipeline.name === props.name));
  const last = (): Run | undefined => one()?.newest[0];
  return (
    <li class="pipeline">
      <span class="pipeline-status">
        <Show when={last()} fallback={<span class="status-icon is-none" />}>
          {(job) => <StatusIcon status={job().status} />}
        </Show>
      </span>
      <A class="pipeline-name" href={`/pipelines/${props.name}`}>
        {props.name}
      </A>
      <span class="pipeline-last quiet">
        <Show when={last()} fallback={<Command text={`danube trigger ${props.name}`} />}>
          {(job) => (
            <>
              <A class="pipeline-job" href={`/jobs/${job().id}`}>
                {job().message || [STATUS_WORDS[job().status], job().branch].filter(Boolean).join(" on ")}
              </A>
              <span class="pipeline-when">
                {duration(secondsBetween(job().started_at, job().finished_at, now()))} · <Ago at={job().created_at} />
              </span>
            </>
          )}
        </Show>
      </span>
      <RunStrip jobs={one()?.newest ?? []} />
    </li>
  );
}

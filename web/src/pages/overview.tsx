/** The overview: all pipelines by team, with their newest runs. */
import { A, useSearchParams } from "@solidjs/router";
import { createMemo, For, Show } from "solid-js";
import { API } from "../api/client";
import { createData } from "../api/data";
import { onJobs } from "../api/events";
import { mergeOverview, OVERVIEW_RUNS } from "../api/merging";
import type { PipelinePage, Run } from "../api/types";
import { now } from "../kit/clock";
import { useCommands, useList } from "../kit/keys";
import { count } from "../kit/sizes";
import { useTab } from "../parts/tab";
import { duration, secondsBetween } from "../kit/time";
import { Command, Empty } from "../parts/empty";
import { Icon, STATUS_WORDS, StatusIcon } from "../parts/icons";
import { Loaded } from "../parts/loaded";
import { RelativeTime } from "../parts/relative-time";
import { RunStrip } from "../parts/runs";
import { byTeam, healthOf, matching, type Health } from "./overview-list";

export function Overview() {
  const [query, setQuery] = useSearchParams<{ q?: string }>();
  const setWords = (words: string): void => setQuery({ q: words || undefined }, { replace: true });
  const data = createData<PipelinePage>(() => `${API}/pipelines?runs=${OVERVIEW_RUNS}`);
  onJobs((job) => (job ? data.change((page) => mergeOverview(page, job)) : data.reload()));

  const shown = createMemo(() => matching(data.value()?.pipelines ?? [], query.q ?? ""));
  const teams = createMemo(() => byTeam(shown()));
  const health = createMemo(() => healthOf(data.value()?.pipelines ?? []));
  useTab(
    () => (health().failing > 0 ? `${count(health().failing, "pipeline")} failing` : "Pipelines"),
    () => health().status,
  );
  useList(".pipeline-name", "pipeline");

  return (
    <div class="page">
      <header class="page-head">
        <div class="page-title">
          <h1>Pipelines</h1>
          <p class="quiet" role="status">
            <Show when={data.value()}>
              <Figures shown={shown().length} health={health()} />
            </Show>
          </p>
        </div>
        <SearchField words={query.q ?? ""} onInput={setWords} />
      </header>
      <Loaded data={data}>
        {(page) => (
          <Show
            when={page().pipelines.length > 0}
            fallback={
              <Empty
                text="No pipelines are configured, or you may see none. Add a file to pipelines/ in the configuration repository, push it, and run:"
                command="danube config sync"
              />
            }
          >
            <Show when={shown().length > 0} fallback={<NoMatch words={query.q ?? ""} onClear={() => setWords("")} />}>
              <For each={teams()}>
                {([team, pipelines]) => (
                  <section class="team" aria-label={`Team ${team || "none"}`}>
                    <h2>{team || "No team"}</h2>
                    <ul class="pipelines">
                      <For each={pipelines.map((one) => one.name)}>{(name) => <PipelineRow name={name} page={page} />}</For>
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

function Figures(props: { shown: number; health: Health }) {
  return (
    <>
      {count(props.shown, "pipeline")}
      <Show when={props.health.running > 0}>, {props.health.running} running</Show>
      <Show when={props.health.failing > 0}>
        , <span class="bad">{props.health.failing} failing</span>
      </Show>
    </>
  );
}

function SearchField(props: { words: string; onInput: (words: string) => void }) {
  let field: HTMLInputElement | undefined;
  useCommands([{ key: "/", description: "search pipelines", run: () => field?.focus() }]);
  return (
    <label class="field overview-search">
      <Icon name="search" />
      <span class="hidden">Search pipelines</span>
      <input
        ref={field}
        type="search"
        placeholder="Search pipelines and teams  /"
        spellcheck={false}
        value={props.words}
        onInput={(event) => props.onInput(event.currentTarget.value)}
      />
    </label>
  );
}

function NoMatch(props: { words: string; onClear: () => void }) {
  return (
    <Empty text={`No pipeline matches “${props.words}”.`}>
      <button type="button" class="button" onClick={() => props.onClear()}>
        Clear search
      </button>
    </Empty>
  );
}

/** By name, so that a change of its runs updates only this row. */
function PipelineRow(props: { name: string; page: () => PipelinePage }) {
  const pipeline = createMemo(() => props.page().pipelines.find((one) => one.name === props.name));
  const last = (): Run | undefined => pipeline()?.newest[0];
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
      <span class="pipeline-latest quiet">
        <Show when={last()} fallback={<Command text={`danube trigger ${props.name}`} />}>
          {(job) => (
            <>
              <A class="pipeline-job" href={`/jobs/${job().id}`}>
                {job().message || [STATUS_WORDS[job().status], job().branch].filter(Boolean).join(" on ")}
              </A>
              <span class="pipeline-when">
                {duration(secondsBetween(job().started_at, job().finished_at, now()))} · <RelativeTime at={job().created_at} />
              </span>
            </>
          )}
        </Show>
      </span>
      <RunStrip jobs={pipeline()?.newest ?? []} />
    </li>
  );
}

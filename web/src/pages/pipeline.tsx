/** One pipeline: how it has been doing, its runs with filters that live in the address, who may what, how to start it. */
import { useParams, useSearchParams } from "@solidjs/router";
import { createEffect, createMemo, createSignal, For, lazy, on, Show, Suspense } from "solid-js";
import { API, get, pipelinePath, withQuery } from "../api/client";
import { createData } from "../api/data";
import { onJobs } from "../api/events";
import { isStale } from "../api/merging";
import type { Definition, Job, JobPage, PipelineDetail, Statistics, Status } from "../api/types";
import { useList } from "../kit/keys";
import { count } from "../kit/sizes";
import { useTab } from "../kit/tab";
import { duration } from "../kit/time";
import { Icon, STATUS_WORDS } from "../parts/icons";
import { Older } from "../parts/older";
import { RunRow } from "../parts/runs";
import { Address, Ago, Command, Empty, Loaded, Outward, PageHead } from "../parts/small";
import { StartDialog } from "./start-dialog";

const DurationChart = lazy(() => import("../parts/chart"));

const STATUSES = Object.keys(STATUS_WORDS) as Status[];
const CHART_RUNS = 200;

export function mergeJob(page: JobPage, job: Job, fits: (job: Job) => boolean): JobPage {
  const known = page.jobs.find((one) => one.id === job.id);
  if (known && isStale(known.status, job.status)) return page;
  const others = page.jobs.filter((one) => one.id !== job.id);
  if (!fits(job)) return others.length === page.jobs.length ? page : { ...page, jobs: others };
  return { ...page, jobs: [job, ...others].sort((a, b) => (a.id < b.id ? 1 : -1)) };
}

export default function PipelinePage() {
  const params = useParams<{ name: string }>();
  return <Show when={params.name} keyed>{(name) => <OnePipeline name={name} />}</Show>;
}

function OnePipeline(props: { name: string }) {
  const [query, setQuery] = useSearchParams<{ status?: string; branch?: string }>();
  const [starting, setStarting] = createSignal(false);
  const data = createData<PipelineDetail>(() => pipelinePath(props.name));
  const statistics = createData<Statistics>(() => pipelinePath(props.name, "/stats"));
  const recent = createData<JobPage>(() => withQuery(`${API}/jobs`, { pipeline: props.name, limit: CHART_RUNS }));
  const fits = (job: Job): boolean =>
    job.pipeline === props.name && (!query.status || job.status === query.status) && (!query.branch || job.trigger.branch === query.branch);

  onJobs((job) => {
    if (job && job.pipeline !== props.name) return;
    if (!job) recent.reload();
    else recent.change((page) => mergeJob(page, job, (one) => one.pipeline === props.name));
    if (!job || job.finished_at) statistics.reload();
  });
  const branches = createMemo(() => [...new Set((recent.value()?.jobs ?? []).map((job) => job.trigger.branch).filter(Boolean))].sort());
  useTab(
    () => props.name,
    () => recent.value()?.jobs[0]?.status,
  );
  useList(".run-link", "run");
  const may = (action: string): boolean => data.value()?.may.includes(action) ?? false;

  return (
    <div class="page">
      <PageHead title={props.name} under={<Show when={data.value()}>{(one) => <Facts pipeline={one()} />}</Show>}>
        <Show when={may("trigger")}>
          <button type="button" class="button is-primary" onClick={() => setStarting(true)}>
            <Icon name="play" /> Start a run
          </button>
        </Show>
      </PageHead>
      <Show when={data.value()?.removed}>
        <p class="notice">This pipeline has left the configuration. Its history stays; nothing starts it any more.</p>
      </Show>
      <Loaded data={data}>
        {(pipeline) => (
          <div class="columns">
            <section class="column-main" aria-label="Runs">
              <div class="filters">
                <h2>Runs</h2>
                <span class="grow" />
                <label>
                  <span class="hidden">Status</span>
                  <select value={query.status ?? ""} onChange={(event) => setQuery({ status: event.currentTarget.value || undefined })}>
                    <option value="">every status</option>
                    <For each={STATUSES}>{(status) => <option value={status} selected={query.status === status}>{STATUS_WORDS[status]}</option>}</For>
                  </select>
                </label>
                <label>
                  <span class="hidden">Branch</span>
                  <select value={query.branch ?? ""} onChange={(event) => setQuery({ branch: event.currentTarget.value || undefined })}>
                    <option value="">every branch</option>
                    <For each={branches()}>{(branch) => <option value={branch} selected={query.branch === branch}>{branch}</option>}</For>
                  </select>
                </label>
              </div>
              <History name={props.name} status={query.status} branch={query.branch} fits={fits} />
            </section>
            <aside class="column-side">
              <section>
                <h2>How it has been doing</h2>
                <Show when={statistics.value()}>{(found) => <Figures found={found()} />}</Show>
                <div class="chart-place">
                  <Show when={(recent.value()?.jobs.filter((job) => job.finished_at && job.started_at).length ?? 0) > 1}>
                    <Suspense>
                      <DurationChart jobs={recent.value()?.jobs ?? []} />
                    </Suspense>
                  </Show>
                </div>
              </section>
              <section>
                <h2>What starts it</h2>
                <Triggers pipeline={pipeline()} />
              </section>
              <Written pipeline={pipeline()} />
              <DefinitionPart name={props.name} script={pipeline().script} />
              <section>
                <h2>Who may what</h2>
                <dl class="facts">
                  <For each={Object.entries(pipeline().levels)} fallback={<dd class="quiet">Global administrators only.</dd>}>
                    {([team, level]) => (
                      <>
                        <dt>{team}</dt>
                        <dd>{level}</dd>
                      </>
                    )}
                  </For>
                </dl>
              </section>
            </aside>
          </div>
        )}
      </Loaded>
      <Show when={starting()}>
        <StartDialog name={props.name} params={data.value()?.params ?? []} onClose={() => setStarting(false)} />
      </Show>
    </div>
  );
}

function Facts(props: { pipeline: PipelineDetail }) {
  return (
    <>
      <Show when={props.pipeline.team}>{(team) => <span>team {team()} · </span>}</Show>
      <Address of={props.pipeline.repository} /> · <code>{props.pipeline.script}</code> · image <code>{props.pipeline.image}</code>
    </>
  );
}

function Figures(props: { found: Statistics }) {
  return (
    <dl class="figures">
      <div>
        <dt>succeed</dt>
        <dd>{props.found.success_rate === null ? "–" : `${Math.round(props.found.success_rate * 100)} %`}</dd>
      </div>
      <div>
        <dt>usually take</dt>
        <dd>{duration(props.found.duration_seconds_median)}</dd>
      </div>
      <div>
        <dt>95 % take at most</dt>
        <dd>{duration(props.found.duration_seconds_p95)}</dd>
      </div>
      <div>
        <dt>runs looked at</dt>
        <dd>{props.found.jobs.toLocaleString("en")}</dd>
      </div>
    </dl>
  );
}

function Triggers(props: { pipeline: PipelineDetail }) {
  return (
    <>
      <For each={props.pipeline.starts.filter((one) => one.kind !== "manual")}>
        {(one) => (
          <p class="start" title={one.schedule}>
            {one.words}
            <Show when={one.next_at}>
              {(at) => (
                <span class="quiet">
                  , next <Ago at={at()} />
                </span>
              )}
            </Show>
          </p>
        )}
      </For>
      <p>
        By hand: <Command text={`danube trigger ${props.pipeline.name}`} />
      </p>
    </>
  );
}

/** Where it stands in the configuration, as it is written there. */
function Written(props: { pipeline: PipelineDetail }) {
  return (
    <Show when={props.pipeline.place}>
      <section>
        <h2>Its configuration</h2>
        <p class="quiet">
          <Outward to={props.pipeline.place_url}>
            <code class="wrap">{props.pipeline.place}</code>
          </Outward>{" "}
          at <code title={props.pipeline.revision}>{props.pipeline.revision.slice(0, 12)}</code>
        </p>
        <Show when={props.pipeline.text}>
          {(text) => (
            <details class="written">
              <summary>As it was applied</summary>
              <pre tabindex="0" aria-label="YAML">
                {text()}
              </pre>
            </details>
          )}
        </Show>
      </section>
    </Show>
  );
}

/** What the danubefile says of itself, without being run. */
function DefinitionPart(props: { name: string; script: string }) {
  const data = createData<Definition>(() => pipelinePath(props.name, "/definition"));
  return (
    <section>
      <h2>
        What <code>{props.script}</code> says
      </h2>
      <Loaded data={data}>
        {(found) => (
          <>
            <For each={found().findings}>
              {(one) => (
                <p class="bad">
                  <Outward to={one.url}>
                    <code>{one.place}</code>
                  </Outward>{" "}
                  {one.what}
                </p>
              )}
            </For>
            <Show when={found().outline}>
              {(outline) => (
                <ol class="outline">
                  <For each={outline().steps}>
                    {(step) => (
                      <li>
                        <span>{step.name}</span> <span class="quiet">
                          {step.image} <Outward to={found().script_url && `${found().script_url}#L${step.line}`}>line {step.line}</Outward>
                        </span>
                      </li>
                    )}
                  </For>
                </ol>
              )}
            </Show>
          </>
        )}
      </Loaded>
    </section>
  );
}

/** Pages of runs; new ones appear by themselves. */
function History(props: { name: string; status: string | undefined; branch: string | undefined; fits: (job: Job) => boolean }) {
  const [more, setMore] = createSignal<JobPage | undefined>(undefined);
  const path = (cursor?: string): string =>
    withQuery(`${API}/jobs`, { pipeline: props.name, status: props.status, branch: props.branch, cursor, limit: 50 });
  const first = createData<JobPage>(() => path());
  onJobs((job) => (job ? first.change((page) => mergeJob(page, job, props.fits)) : first.reload()));
  createEffect(on(() => path(), () => setMore(undefined), { defer: true }));
  const jobs = createMemo(() => [...(first.value()?.jobs ?? []), ...(more()?.jobs ?? [])]);
  const cursor = () => (more() ? more()?.cursor : first.value()?.cursor);
  async function loadMore(at: string): Promise<void> {
    const next = await get<JobPage>(path(at));
    setMore((before) => ({ jobs: [...(before?.jobs ?? []), ...next.jobs], cursor: next.cursor }));
  }
  return (
    <Loaded data={first}>
      {() => (
        <>
          <Show
            when={jobs().length > 0}
            fallback={
              props.status || props.branch ? <Empty what="No run is like that." /> : <Empty what="It has not run yet. Start it with:" command={`danube trigger ${props.name}`} />
            }
          >
            <ul class="runs">
              <For each={jobs()}>{(job) => <RunRow job={job} withPipeline={false} />}</For>
            </ul>
          </Show>
          <Older what="runs" cursor={cursor()} load={loadMore} />
          <p class="quiet" role="status">
            {count(jobs().length, "run")} shown
          </p>
        </>
      )}
    </Loaded>
  );
}

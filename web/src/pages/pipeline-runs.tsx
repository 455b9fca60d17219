/** The runs of a pipeline, page by page, and their filters. New runs are added by themselves. */
import { createEffect, createMemo, createSignal, For, on, Show } from "solid-js";
import { API, get, withQuery } from "../api/client";
import { createData } from "../api/data";
import { onJobs } from "../api/events";
import { mergeJobPage } from "../api/merging";
import type { JobPage, Status } from "../api/types";
import { count } from "../kit/sizes";
import { Empty } from "../parts/empty";
import { STATUS_WORDS } from "../parts/icons";
import { Loaded } from "../parts/loaded";
import { Older } from "../parts/older";
import { RunRow } from "../parts/runs";
import { isFiltered, matchesFilter, type RunFilter } from "./run-filter";

const STATUSES = Object.keys(STATUS_WORDS) as Status[];

/** Runs in one request. */
const PAGE = 50;

type OnFilter = (change: { status?: string | undefined; branch?: string | undefined }) => void;

export function PipelineRuns(props: { filter: RunFilter; branches: readonly string[]; onFilter: OnFilter }) {
  return (
    <section class="column-main" aria-label="Runs">
      <div class="filters">
        <h2>Runs</h2>
        <span class="grow" />
        <label>
          <span class="hidden">Status</span>
          <select value={props.filter.status ?? ""} onChange={(event) => props.onFilter({ status: event.currentTarget.value || undefined })}>
            <option value="">All statuses</option>
            <For each={STATUSES}>{(status) => <option value={status} selected={props.filter.status === status}>{STATUS_WORDS[status]}</option>}</For>
          </select>
        </label>
        <label>
          <span class="hidden">Branch</span>
          <select value={props.filter.branch ?? ""} onChange={(event) => props.onFilter({ branch: event.currentTarget.value || undefined })}>
            <option value="">All branches</option>
            <For each={props.branches}>{(branch) => <option value={branch} selected={props.filter.branch === branch}>{branch}</option>}</For>
          </select>
        </label>
      </div>
      <RunList filter={props.filter} onFilter={props.onFilter} />
    </section>
  );
}

function RunList(props: { filter: RunFilter; onFilter: OnFilter }) {
  const [more, setMore] = createSignal<JobPage | undefined>(undefined);
  const path = (cursor?: string): string => withQuery(`${API}/jobs`, { ...props.filter, cursor, limit: PAGE });
  const first = createData<JobPage>(() => path());
  onJobs((job) => (job ? first.change((page) => mergeJobPage(page, job, (one) => matchesFilter(props.filter, one))) : first.reload()));
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
          <Show when={jobs().length > 0} fallback={<NoRuns filter={props.filter} onFilter={props.onFilter} />}>
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

function NoRuns(props: { filter: RunFilter; onFilter: OnFilter }) {
  return (
    <Show when={isFiltered(props.filter)} fallback={<Empty text="No runs yet. Start one with:" command={`danube trigger ${props.filter.pipeline}`} />}>
      <Empty text="No runs match the filters.">
        <button type="button" class="button" onClick={() => props.onFilter({ status: undefined, branch: undefined })}>
          Clear filters
        </button>
      </Empty>
    </Show>
  );
}

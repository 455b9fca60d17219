/** The page of a pipeline: its runs with filters that are kept in the address, and facts about it. */
import { useParams, useSearchParams } from "@solidjs/router";
import { createMemo, createSignal, Show } from "solid-js";
import { API, pipelinePath, withQuery } from "../api/client";
import { createData } from "../api/data";
import { onJobs } from "../api/events";
import { mergeJobPage } from "../api/merging";
import type { JobPage, PipelineDetail, Statistics } from "../api/types";
import { useList } from "../kit/keys";
import { useTab } from "../parts/tab";
import { Icon } from "../parts/icons";
import { RepositoryLink } from "../parts/links";
import { Loaded } from "../parts/loaded";
import { PageHead } from "../parts/page-head";
import { PipelineRuns } from "./pipeline-runs";
import { PipelineSide } from "./pipeline-side";
import { branchesOf, type RunFilter } from "./run-filter";
import { StartDialog } from "./start-dialog";

/** Runs in the chart, and from which the branches to choose from are taken. */
const RECENT_RUNS = 200;

export default function PipelinePage() {
  const params = useParams<{ name: string }>();
  return <Show when={params.name} keyed>{(name) => <OnePipeline name={name} />}</Show>;
}

function OnePipeline(props: { name: string }) {
  const [query, setQuery] = useSearchParams<{ status?: string; branch?: string }>();
  const [starting, setStarting] = createSignal(false);
  const data = createData<PipelineDetail>(() => pipelinePath(props.name));
  const statistics = createData<Statistics>(() => pipelinePath(props.name, "/stats"));
  const recent = createData<JobPage>(() => withQuery(`${API}/jobs`, { pipeline: props.name, limit: RECENT_RUNS }));
  const filter = (): RunFilter => ({ pipeline: props.name, status: query.status, branch: query.branch });
  const branches = createMemo(() => branchesOf(recent.value()?.jobs ?? []));
  const mayStart = () => data.value()?.may.includes("trigger") ?? false;

  onJobs((job) => {
    if (job && job.pipeline !== props.name) return;
    if (!job) recent.reload();
    else recent.change((page) => mergeJobPage(page, job, (one) => one.pipeline === props.name));
    if (!job || job.finished_at) statistics.reload();
  });
  useTab(
    () => props.name,
    () => recent.value()?.jobs[0]?.status,
  );
  useList(".run-link", "run");

  return (
    <div class="page">
      <PageHead title={props.name} under={<Show when={data.value()}>{(one) => <Summary pipeline={one()} />}</Show>}>
        <Show when={mayStart()}>
          <button type="button" class="button is-primary" onClick={() => setStarting(true)}>
            <Icon name="play" /> Start run
          </button>
        </Show>
      </PageHead>
      <Show when={data.value()?.removed}>
        <p class="notice">This pipeline was removed from the configuration. Its history is kept, but it cannot be started any more.</p>
      </Show>
      <Loaded data={data}>
        {(pipeline) => (
          <div class="columns">
            <PipelineRuns filter={filter()} branches={branches()} onFilter={setQuery} />
            <PipelineSide pipeline={pipeline()} statistics={statistics.value()} recent={recent.value()?.jobs ?? []} />
          </div>
        )}
      </Loaded>
      <Show when={starting()}>
        <StartDialog name={props.name} params={data.value()?.params ?? []} onClose={() => setStarting(false)} />
      </Show>
    </div>
  );
}

function Summary(props: { pipeline: PipelineDetail }) {
  return (
    <>
      <Show when={props.pipeline.team}>{(team) => <span>team {team()} · </span>}</Show>
      <RepositoryLink address={props.pipeline.repository} /> · <code>{props.pipeline.script}</code> · image <code>{props.pipeline.image}</code>
    </>
  );
}

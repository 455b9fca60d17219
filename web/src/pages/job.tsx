/** The page of a job: status and cause, steps, log, artifacts, details. */
import { A, useNavigate, useParams, useSearchParams } from "@solidjs/router";
import { Show } from "solid-js";
import { jobPath, write } from "../api/client";
import { mergeJob } from "../api/merging";
import type { Job, JobDetail } from "../api/types";
import { useTab } from "../parts/tab";
import { LogViewer } from "../log/viewer";
import { Loaded } from "../parts/loaded";
import { createJobData, type JobData } from "./job-data";
import { JobHead, type JobVerb } from "./job-head";
import { JobSide } from "./job-side";

export default function JobPage() {
  const params = useParams<{ id: string }>();
  return <Show when={params.id} keyed>{(id) => <OneJob id={id} />}</Show>;
}

/** The step number of the address; undefined for anything else. */
function parseStep(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}

/** Shown in place of a log without lines. */
function emptyLogText(waiting: boolean, live: boolean): string {
  if (waiting) return "The log starts with the job.";
  return live ? "No output yet." : "No output.";
}

function OneJob(props: { id: string }) {
  const [query, setQuery] = useSearchParams<{ step?: string }>();
  const navigate = useNavigate();
  const step = () => parseStep(query.step);
  const setStep = (sequence: number | undefined): void => setQuery({ step: sequence === undefined ? undefined : String(sequence) });
  const data = createJobData(props.id, step);
  const job = data.job.value;
  useTab(
    () => (job() ? `${job()?.pipeline ?? ""} ${job()?.trigger.branch ?? ""}`.trim() : "Job"),
    () => job()?.status,
  );

  async function act(verb: JobVerb, body?: unknown): Promise<void> {
    const next = await write<Job>("POST", jobPath(props.id, `/${verb}`), body);
    if (verb === "rerun") navigate(`/jobs/${next.id}`);
    else data.job.change((before) => mergeJob(before, next));
  }

  return (
    <div class="job">
      <Loaded data={data.job}>
        {(one) => (
          <>
            <JobHead job={one()} explanation={data.explanation.value()} connection={data.live() ? data.connection() : "live"} act={act} />
            <div class="job-body">
              <JobSide
                job={one()}
                artifacts={data.artifacts.value()?.artifacts ?? []}
                images={data.artifacts.value()?.images ?? []}
                provenance={data.artifacts.value()?.provenance ?? null}
                secrets={data.secrets.value()?.keys ?? []}
                only={step()}
                onStep={(sequence) => showStep(data, sequence)}
                onOnly={setStep}
              />
              <JobLog job={one()} data={data} step={step()} onAllSteps={() => setStep(undefined)} />
            </div>
          </>
        )}
      </Loaded>
      <Show when={data.job.problem()?.status === 404}>
        <JobNotFound />
      </Show>
    </div>
  );
}

/** Scrolls the log to the first line of a step. */
function showStep(data: JobData, sequence: number): void {
  const section = data.log().sections().find((one) => one.step === sequence);
  if (section) location.hash = `L${section.first + 1}`;
}

function JobLog(props: { job: JobDetail; data: JobData; step: number | undefined; onAllSteps: () => void }) {
  const stepName = () => props.job.steps.find((one) => one.sequence === props.step)?.name;
  return (
    <Show when={props.data.log()} keyed>
      {(log) => (
        <LogViewer
          reader={log}
          live={props.data.live()}
          rawHref={jobPath(props.job.id, props.step === undefined ? "/log" : `/log?step=${props.step}`)}
          beginAt={props.job.status === "success" ? "start" : "end"}
          onlyStep={props.step === undefined ? undefined : (stepName() ?? `step ${props.step}`)}
          onAllSteps={props.onAllSteps}
          empty={emptyLogText(props.data.waiting(), props.data.live())}
        />
      )}
    </Show>
  );
}

function JobNotFound() {
  return (
    <div class="page">
      <h1>Job not found</h1>
      <p>
        <A href="/">All pipelines</A>
      </p>
    </div>
  );
}

/** One job: how it is and why, its steps, what it printed, what it kept. */
import { useNavigate, useParams, useSearchParams, A } from "@solidjs/router";
import { createEffect, createMemo, createSignal, on, onCleanup, Show } from "solid-js";
import { jobPath, write } from "../api/client";
import { createData } from "../api/data";
import { isOver, isStale } from "../api/merging";
import { onJobs } from "../api/events";
import { JobStream } from "../api/job-stream";
import type { Connection } from "../api/list-stream";
import type { ArtifactList, Explanation, Job, JobDetail, Step, UsedSecrets } from "../api/types";
import { useTab } from "../kit/tab";
import { LogReader } from "../log/reader";
import { LogViewer } from "../log/viewer";
import { Loaded } from "../parts/small";
import { JobHead } from "./job-head";
import { JobSide } from "./job-side";

/** What is heard of a job, unless it is older than what is known. */
export function withNews(job: JobDetail, news: Partial<JobDetail> & Pick<Job, "status">): JobDetail {
  return isStale(job.status, news.status) ? job : { ...job, ...news, may: job.may, commit_url: job.commit_url };
}

/** A step that is new or has changed, in its place. */
export function withStep(job: JobDetail, step: Step): JobDetail {
  const others = job.steps.filter((one) => one.sequence !== step.sequence);
  return { ...job, steps: [...others, step].sort((a, b) => a.sequence - b.sequence) };
}

export default function JobPage() {
  const params = useParams<{ id: string }>();
  return <Show when={params.id} keyed>{(id) => <OneJob id={id} />}</Show>;
}

function OneJob(props: { id: string }) {
  const [query, setQuery] = useSearchParams<{ step?: string }>();
  const navigate = useNavigate();
  const data = createData<JobDetail>(() => jobPath(props.id));
  const artifacts = createData<ArtifactList>(() => jobPath(props.id, "/artifacts"));
  const secrets = createData<UsedSecrets>(() => jobPath(props.id, "/secrets"));
  const [connection, setConnection] = createSignal<Connection>("connecting");
  const job = data.value;
  const live = () => {
    const one = job();
    return one !== undefined && !isOver(one.status);
  };
  const step = () => (query.step && /^\d{1,6}$/.test(query.step) ? Number(query.step) : undefined);
  const waiting = () => job()?.status === "pending";
  const explanation = createData<Explanation>(() => (waiting() ? jobPath(props.id, "/explanation") : undefined));

  useTab(
    () => (job() ? `${job()?.pipeline ?? ""} ${job()?.trigger.branch ?? ""}`.trim() : "Job"),
    () => job()?.status,
  );

  const reader = createMemo(() => {
    const made = new LogReader(props.id, step());
    onCleanup(() => made.close());
    void made.start();
    return made;
  });

  // The stream begins when the log's end is known, so that nothing is sent that nobody looks at. It ends by itself: that the
  // job has ended may be heard elsewhere before its last lines are here.
  const follows = createMemo<boolean>((before) => before || (live() && reader().ready()), false);
  createEffect(
    on([follows, reader], ([wanted, log]) => {
      if (!wanted) return;
      const stream = new JobStream(props.id, () => log.store.end, {
        snapshot: (next) => data.change((before) => withNews(before, next)),
        job: (next) => data.change((before) => withNews(before, next)),
        step: (next) => {
          data.change((before) => withStep(before, next));
          if (next.started_at) log.loadSections();
        },
        log: (text, end) => log.heard(text, end),
        ended: () => {
          log.loadSections();
          artifacts.reload();
          secrets.reload();
          data.reload();
          if (log.step !== undefined) void log.start();
        },
        connection: setConnection,
      });
      onCleanup(() => stream.close());
    }),
  );
  // What the stream of all jobs says reaches a tab in the background too, where this job's own stream is let go.
  onJobs((news) => {
    if (news === null) explanation.reload();
    else if (news.id === props.id) data.change((before) => withNews(before, news));
    else if (waiting()) explanation.reload();
  });

  async function act(verb: "cancel" | "rerun" | "approve", body?: unknown): Promise<void> {
    const next = await write<Job>("POST", jobPath(props.id, `/${verb}`), body);
    if (verb === "rerun") navigate(`/jobs/${next.id}`);
    else data.change((before) => withNews(before, next));
  }

  const stepName = () => job()?.steps.find((one) => one.sequence === step())?.name;
  const empty = () => {
    if (waiting()) return "The log begins when the job does.";
    return live() ? "Nothing has been printed yet." : "Nothing was printed.";
  };
  return (
    <div class="job">
      <Loaded data={data}>
        {(one) => (
          <>
            <JobHead job={one()} explanation={explanation.value()} connection={live() ? connection() : "live"} act={act} />
            <div class="job-body">
              <JobSide
                job={one()}
                artifacts={artifacts.value()?.artifacts ?? []}
                secrets={secrets.value()?.keys ?? []}
                only={step()}
                onStep={(sequence) => {
                  const section = reader().sections().find((each) => each.step === sequence);
                  if (section) location.hash = `L${section.first + 1}`;
                }}
                onOnly={(sequence) => setQuery({ step: sequence === undefined ? undefined : String(sequence) })}
              />
              <Show when={reader()} keyed>
                {(log) => (
                  <LogViewer
                    reader={log}
                    live={live()}
                    rawHref={jobPath(props.id, step() === undefined ? "/log" : `/log?step=${step()}`)}
                    beginAt={one().status === "success" ? "start" : "end"}
                    onlyStep={step() === undefined ? undefined : (stepName() ?? `step ${step()}`)}
                    onAllSteps={() => setQuery({ step: undefined })}
                    empty={empty()}
                  />
                )}
              </Show>
            </div>
          </>
        )}
      </Loaded>
      <Show when={data.problem()?.status === 404}>
        <div class="page">
          <h1>No such job</h1>
          <p>
            <A href="/">All pipelines</A>
          </p>
        </div>
      </Show>
    </div>
  );
}

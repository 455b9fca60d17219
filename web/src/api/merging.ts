/**
 * Changes of a job, merged into what is shown. Two event streams and an API response may report the same job in any order, so
 * that an older status never replaces a newer one: a finished job stays finished. Everything here is pure.
 */
import type { Job, JobDetail, JobPage, Pipeline, PipelinePage, Run, Status, Step } from "./types";

/** Runs of each pipeline in the overview. */
export const OVERVIEW_RUNS = 10;

const ORDER: Record<Status, number> = { pending: 0, running: 1, success: 2, failure: 2, cancelled: 2, timeout: 2 };

export const isFinished = (status: Status): boolean => status !== "pending" && status !== "running";

/** Whether a reported status is older than the known one. */
export function isStale(known: Status, reported: Status): boolean {
  return ORDER[reported] < ORDER[known];
}

/** Ids sort by their time of creation. */
const newestFirst = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? 1 : -1);

/** The job with a change. What depends on the caller (`may`) and on the forge is known from the first response only. */
export function mergeJob(job: JobDetail, change: Partial<JobDetail> & Pick<Job, "status">): JobDetail {
  if (isStale(job.status, change.status)) return job;
  return { ...job, ...change, may: job.may, commit_url: job.commit_url, approval_refused: job.approval_refused };
}

/** The job with a step that is new or has changed. */
export function mergeStep(job: JobDetail, step: Step): JobDetail {
  const others = job.steps.filter((one) => one.sequence !== step.sequence);
  return { ...job, steps: [...others, step].sort((a, b) => a.sequence - b.sequence) };
}

/** A page of jobs with a changed one, which leaves the page where it does not match its filter. */
export function mergeJobPage(page: JobPage, job: Job, matches: (job: Job) => boolean): JobPage {
  const known = page.jobs.find((one) => one.id === job.id);
  if (known && isStale(known.status, job.status)) return page;
  const others = page.jobs.filter((one) => one.id !== job.id);
  if (!matches(job)) return others.length === page.jobs.length ? page : { ...page, jobs: others };
  return { ...page, jobs: [job, ...others].sort(newestFirst) };
}

/** The overview with a changed job among the newest runs of its pipeline. */
export function mergeOverview(page: PipelinePage, job: Job): PipelinePage {
  return { ...page, pipelines: page.pipelines.map((one) => (one.name === job.pipeline ? mergeRun(one, job) : one)) };
}

function mergeRun(pipeline: Pipeline, job: Job): Pipeline {
  const known = pipeline.newest.find((one) => one.id === job.id);
  if (known && isStale(known.status, job.status)) return pipeline;
  const others = pipeline.newest.filter((one) => one.id !== job.id);
  return { ...pipeline, newest: [runOf(job), ...others].sort(newestFirst).slice(0, OVERVIEW_RUNS) };
}

function runOf(job: Job): Run {
  const { id, status, message, created_at, started_at, finished_at } = job;
  return { id, status, message, branch: job.trigger.branch, created_at, started_at, finished_at };
}

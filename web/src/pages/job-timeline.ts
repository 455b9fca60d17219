/** Where a step lies in its job's time, and its facts as text. Pure. */
import type { JobDetail, Step } from "../api/types";
import { bytes } from "../kit/sizes";
import { duration, secondsBetween } from "../kit/time";

export type JobTimes = Pick<JobDetail, "created_at" | "started_at" | "finished_at">;

/** Begin and length of a step as fractions of the job's time. `at`: the current time in Unix milliseconds. */
export function stepSpan(step: Pick<Step, "started_at" | "finished_at">, job: JobTimes, at: number): { left: number; width: number } {
  const begin = Date.parse(job.started_at ?? job.created_at);
  const whole = Math.max(1, (job.finished_at ? Date.parse(job.finished_at) : at) - begin);
  const seconds = secondsBetween(step.started_at, step.finished_at, at);
  if (step.started_at === null || seconds === null) return { left: 1, width: 0 };
  const left = Math.max(0, (Date.parse(step.started_at) - begin) / whole);
  return { left, width: Math.min(1 - left, (seconds * 1000) / whole) };
}

/** "step 1 · alpine:3 · exit code 2 · 1.4 MB of memory". */
export function stepFacts(step: Step): string {
  const facts = [`step ${step.sequence}`, step.image];
  if (step.restored_from) facts.push(`restored from job ${step.restored_from}`);
  if (step.before) facts.push(`${step.before} in the job that is repeated`);
  if (step.exit_code !== null) facts.push(`exit code ${step.exit_code}`);
  if (step.retries > 0) facts.push(`attempt ${step.attempt} of ${step.retries + 1}`);
  if (step.peak_memory_bytes) facts.push(`${bytes(step.peak_memory_bytes)} of memory`);
  if (step.cpu_seconds !== null) facts.push(`${duration(step.cpu_seconds)} of CPU time`);
  return facts.join(" · ");
}

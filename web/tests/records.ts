/** Records of the API for tests: complete where the tested code reads them. */
import type { Destination, Job, JobDetail, Pipeline, Step, Trigger } from "../src/api/types";

export function triggerOf(changes: Partial<Trigger> = {}): Trigger {
  return { type: "manual", actor: "", branch: "main", commit_message: "", pull_request: null, rerun_of: "", rebuild_of: "", ...changes } as Trigger;
}

export function jobOf(id: string, changes: Partial<Job> = {}): Job {
  const job = { id, pipeline: "app", status: "pending", reason: "", message: "", trigger: triggerOf() };
  return { ...job, created_at: "2026-01-01T00:00:00Z", started_at: null, finished_at: null, ...changes } as Job;
}

export function stepOf(sequence: number, changes: Partial<Step> = {}): Step {
  const step = { sequence, name: `step ${sequence}`, image: "alpine:3", status: "success", exit_code: null, retries: 0, attempt: 1 };
  return { ...step, started_at: null, finished_at: null, peak_memory_bytes: null, cpu_seconds: null, ...changes } as Step;
}

export function detailOf(changes: Partial<JobDetail> = {}): JobDetail {
  return { ...jobOf("1"), steps: [], approvals: [], may: ["cancel"], approval_refused: "", commit_url: "https://forge.example.org/c/1", ...changes } as JobDetail;
}

export function pipelineOf(name: string, changes: Partial<Pipeline> = {}): Pipeline {
  return { name, team: "core", repository: `https://forge.example.org/${name}`, removed: false, newest: [], ...changes } as Pipeline;
}

export function destinationOf(changes: Partial<Destination> = {}): Destination {
  return { step: 1, host: "example.org", port: 443, verdict: "allowed", way: "tls", allow: [], ...changes } as Destination;
}

/** A job's state and trigger as sentences. */
import type { Approval, Job, Trigger } from "../api/types";
import { duration, secondsBetween } from "../kit/time";

/** "Started manually by alice". */
export function startedBy(trigger: Trigger): string {
  const by = trigger.actor ? ` by ${trigger.actor}` : "";
  if (trigger.rebuild_of) return `Rebuild${by}`;
  switch (trigger.type) {
    case "manual":
      return trigger.rerun_of ? `Rerun${by}` : `Started manually${by}`;
    case "cron":
      return "Started on schedule";
    case "webhook":
      return `Pushed${by}`;
    default:
      return `Started by ${trigger.type}${by}`;
  }
}

/** The commit's message; the title of a pull request whose commits were not fetched yet. */
export function commitTitle(trigger: Trigger): string {
  return trigger.commit_message || (trigger.pull_request?.title ?? "");
}

/** "production approved by bob@example.com: reviewed". */
export function approvalSentence(approval: Approval): string {
  const why = approval.reason ? `: ${approval.reason}` : "";
  switch (approval.state) {
    case "waiting":
      return `Waits for approval of ${approval.environment} by ${approval.approvers.join(", ") || "its user"}`;
    case "approved":
      return `${approval.environment} approved by ${approval.decided_by}${why}; waits for a slot`;
    case "granted":
      return `${approval.environment} approved by ${approval.decided_by}${why}`;
    case "rejected":
      return `${approval.environment} rejected by ${approval.decided_by}${why}`;
    case "expired":
      return `No decision about ${approval.environment}`;
    default:
      return `${approval.environment} was not decided: the job was ended`;
  }
}

/** The state of a job and its cause. `at`: the current time in Unix milliseconds. */
export function jobSentence(job: Job, at: number): string {
  const took = duration(secondsBetween(job.started_at, job.finished_at, at));
  switch (job.status) {
    case "pending":
      if (job.reason === "approval-required") return "Waiting for approval of this commit.";
      if (job.reason === "resolving") return "Looking up its commit.";
      return job.message || "Waiting in the queue.";
    case "running":
      return job.reason === "preparing" ? "Preparing its pod." : job.message || `Running for ${took}.`;
    case "success":
      return `Succeeded in ${took}.`;
    default:
      return job.message ? `${job.message}.`.replace(/\.\.$/, ".") : `Ended after ${took}.`;
  }
}

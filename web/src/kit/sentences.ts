/** States and causes as sentences for people. */
import type { Job, Trigger } from "../api/types";
import { duration, secondsBetween } from "./time";

/** "Started by hand by alice". */
export function startedBy(trigger: Trigger): string {
  const by = trigger.actor ? ` by ${trigger.actor}` : "";
  switch (trigger.type) {
    case "manual":
      return trigger.rerun_of ? `Run again${by}` : `Started by hand${by}`;
    case "cron":
      return "Started by its schedule";
    case "webhook":
      return `Pushed${by}`;
    default:
      return `Started by ${trigger.type}${by}`;
  }
}

/** What a commit says of itself; of a proposal whose commits nobody has read yet, its title. */
export function said(trigger: Trigger): string {
  return trigger.commit_message || (trigger.pull_request?.title ?? "");
}

/** What is to say of a job beside its status. */
export function jobSentence(job: Job, at: number): string {
  const took = duration(secondsBetween(job.started_at, job.finished_at, at));
  switch (job.status) {
    case "pending":
      if (job.reason === "approval-required") return "It waits until somebody who may has looked at this commit.";
      return job.message || "It waits for its turn.";
    case "running":
      return job.reason === "preparing" ? "Its pod is being made." : job.message || `Running for ${took}.`;
    case "success":
      return `Succeeded in ${took}.`;
    default:
      return job.message ? `${job.message}.`.replace(/\.\.$/, ".") : `Ended after ${took}.`;
  }
}

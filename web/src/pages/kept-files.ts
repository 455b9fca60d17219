/** What becomes of a job's log and artifacts, in a sentence. */
import type { JobRetention } from "../api/types";

export function keptSentence(state: JobRetention): string {
  const removed = [state.log_removed_at ? "log" : "", state.artifacts_removed_at ? "artifacts" : ""].filter((one) => one !== "");
  const gone = removed.length > 0 ? ` Removed already: ${removed.join(" and ")}.` : "";
  return (state.kept_by ? `Kept by ${state.kept_by}, whatever their age.` : "Removed when they are due.") + gone;
}

/** Whether there is anything left to keep. */
export function isRemoved(state: JobRetention): boolean {
  return state.log_removed_at !== null && state.artifacts_removed_at !== null;
}

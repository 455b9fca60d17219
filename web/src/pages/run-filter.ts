/** The filter of a pipeline's runs. Pure. */
import type { Job } from "../api/types";

export interface RunFilter {
  pipeline: string;
  status: string | undefined;
  branch: string | undefined;
}

export function isFiltered(filter: RunFilter): boolean {
  return Boolean(filter.status || filter.branch);
}

/** Whether the job belongs to the filtered list. */
export function matchesFilter(filter: RunFilter, job: Job): boolean {
  if (job.pipeline !== filter.pipeline) return false;
  return (!filter.status || job.status === filter.status) && (!filter.branch || job.trigger.branch === filter.branch);
}

/** The branches of the jobs, each once, sorted. */
export function branchesOf(jobs: readonly Job[]): string[] {
  return [...new Set(jobs.map((job) => job.trigger.branch).filter(Boolean))].sort();
}

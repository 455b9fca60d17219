/** The chart's columns and labels. Pure. */
import type { Job } from "../api/types";
import { duration, secondsBetween } from "../kit/time";

/** The chart's columns, oldest run first: Unix seconds, then the durations of successful and of other runs in seconds. */
export function columns(jobs: readonly Job[]): [number[], (number | null)[], (number | null)[]] {
  const times: number[] = [];
  const good: (number | null)[] = [];
  const bad: (number | null)[] = [];
  for (const job of [...jobs].reverse()) {
    const seconds = job.finished_at ? secondsBetween(job.started_at, job.finished_at, 0) : null;
    if (seconds === null) continue;
    times.push(Date.parse(job.created_at) / 1000);
    good.push(job.status === "success" ? seconds : null);
    bad.push(job.status === "success" ? null : seconds);
  }
  return [times, good, bad];
}

const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const minutes = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const hours = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** A label of the time axis; `span`: the seconds that the axis covers. */
export function timeLabel(seconds: number, span: number): string {
  return (span > 86_400 ? days : span > 600 ? hours : minutes).format(new Date(seconds * 1000));
}

/** A duration without zeros at its end. */
export function durationLabel(seconds: number): string {
  return duration(seconds).replace(/\.0 s| 00 s/, (zeros) => (zeros === ".0 s" ? " s" : ""));
}

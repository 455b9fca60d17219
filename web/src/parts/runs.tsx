/** Runs, as a strip of bars and as rows of a list. */
import { A } from "@solidjs/router";
import { For, Show } from "solid-js";
import type { Job, Run } from "../api/types";
import { now } from "../kit/clock";
import { duration, exact, secondsBetween } from "../kit/time";
import { commitTitle, startedBy } from "./job-sentences";
import { Icon, STATUS_WORDS, StatusIcon } from "./icons";
import { RelativeTime } from "./relative-time";

/** The oldest run is on the left. The height of a bar is the run's duration relative to the longest one. */
export function RunStrip(props: { jobs: readonly Run[] }) {
  const seconds = (job: Run): number => secondsBetween(job.started_at, job.finished_at, now()) ?? 0;
  const longest = () => Math.max(1, ...props.jobs.map(seconds));
  const label = (job: Run): string => `${STATUS_WORDS[job.status]}, ${duration(secondsBetween(job.started_at, job.finished_at, now()))}, ${exact(job.created_at)}`;
  return (
    <ol class="strip">
      <For each={[...props.jobs].reverse()}>
        {(job) => (
          <li>
            <A class={`strip-run is-${job.status}`} href={`/jobs/${job.id}`} title={label(job)} aria-label={`Run: ${label(job)}`} tabindex="-1">
              <span class="strip-bar" style={{ height: `${Math.round(25 + (75 * seconds(job)) / longest())}%` }} />
            </A>
          </li>
        )}
      </For>
    </ol>
  );
}

/** One run in a list. */
export function RunRow(props: { job: Job; withPipeline: boolean }) {
  const job = () => props.job;
  return (
    <li class="run">
      <A class="run-link" href={`/jobs/${job().id}`}>
        <StatusIcon status={job().status} />
        <span class="run-info">
          <span class="run-title">
            <Show when={props.withPipeline}>
              <b>{job().pipeline}</b>{" "}
            </Show>
            <Show when={job().trigger.branch || job().trigger.tag || job().trigger.ref}>
              {(ref) => (
                <span class="ref">
                  <Icon name="branch" />
                  {ref()}
                </span>
              )}
            </Show>
            <Show when={job().trigger.commit_sha}>{(sha) => <code class="sha">{sha().slice(0, 8)}</code>}</Show>
            <Show when={commitTitle(job().trigger)}>{(text) => <span class="run-commit">{text()}</span>}</Show>
          </span>
          <span class="quiet run-message">{[job().message || startedBy(job().trigger), job().trigger.commit_author && `commit by ${job().trigger.commit_author}`].filter(Boolean).join(" · ")}</span>
        </span>
      </A>
      <span class="run-times">
        <span class="run-duration">{duration(secondsBetween(job().started_at, job().finished_at, now()))}</span>
        <span class="quiet">
          <RelativeTime at={job().created_at} />
        </span>
      </span>
    </li>
  );
}

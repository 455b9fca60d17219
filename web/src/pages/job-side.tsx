/** Beside the log: steps as a list that is a time line too, what the job kept, and its details. */
import { For, Show } from "solid-js";
import { jobPath } from "../api/client";
import type { Artifact, JobDetail, Step } from "../api/types";
import { useList } from "../kit/keys";
import { bytes } from "../kit/sizes";
import { duration, exact, now, secondsBetween } from "../kit/time";
import { Icon, StatusIcon } from "../parts/icons";
import { Outward } from "../parts/small";
import { JobEgress } from "./job-egress";

export interface JobSideProps {
  job: JobDetail;
  artifacts: readonly Artifact[];
  /** Names of what it has read. */
  secrets: readonly string[];
  /** The step whose output alone is shown. */
  only: number | undefined;
  onStep: (sequence: number) => void;
  onOnly: (sequence: number | undefined) => void;
}

export function JobSide(props: JobSideProps) {
  useList(".step-link", "step");
  const begin = () => Date.parse(props.job.started_at ?? props.job.created_at);
  const whole = () => Math.max(1, (props.job.finished_at ? Date.parse(props.job.finished_at) : now()) - begin());
  const left = (step: Step): number => (step.started_at ? Math.max(0, (Date.parse(step.started_at) - begin()) / whole()) : 1);
  const width = (step: Step): number => {
    const seconds = secondsBetween(step.started_at, step.finished_at, now());
    return seconds === null ? 0 : Math.min(1 - left(step), (seconds * 1000) / whole());
  };
  const percent = (value: number): string => `${(100 * value).toFixed(2)}%`;
  return (
    <aside class="job-side" aria-label="Steps and artifacts">
      <section>
        <h2>Steps</h2>
        <Show when={props.job.steps.length > 0} fallback={<p class="quiet">{props.job.status === "pending" ? "They begin with the job." : "None yet."}</p>}>
          <ol class="steps">
            <For each={props.job.steps.map((step) => step.sequence)}>
              {(sequence) => (
                <Show when={props.job.steps.find((step) => step.sequence === sequence)}>
                  {(step) => (
                    <li class="step">
                      <button type="button" class="step-link" onClick={() => props.onStep(sequence)} title={stepTitle(step())}>
                        <StatusIcon status={step().status} />
                        <span class="step-name">{step().name}</span>
                        <span class="step-time">{step().started_at ? duration(secondsBetween(step().started_at, step().finished_at, now())) : ""}</span>
                      </button>
                      <button
                        type="button"
                        class="tool step-only"
                        aria-pressed={props.only === sequence}
                        aria-label={`Show only the output of ${step().name}`}
                        title="Only this step's output"
                        onClick={() => props.onOnly(props.only === sequence ? undefined : sequence)}
                      >
                        only
                      </button>
                      <span class="step-line" aria-hidden="true">
                        <span
                          class={`step-bar is-${step().status}`}
                          style={{ left: percent(left(step())), width: `max(3px, ${percent(width(step()))})` }}
                        />
                      </span>
                      <Show when={step().message && step().status !== "success"}>
                        <p class="step-message">{step().message}</p>
                      </Show>
                    </li>
                  )}
                </Show>
              )}
            </For>
          </ol>
        </Show>
      </section>
      <section>
        <h2>Artifacts</h2>
        <Show
          when={props.artifacts.length > 0}
          fallback={
            <p class="quiet">
              None. A danubefile keeps one with <code>artifacts.upload()</code>.
            </p>
          }
        >
          <ul class="artifacts">
            <For each={props.artifacts}>
              {(one) => (
                <li>
                  <a href={jobPath(props.job.id, `/artifacts/${encodeURIComponent(one.name)}`)} rel="external" download={one.file_name} title={`sha256 ${one.sha256}`}>
                    <Icon name="file" />
                    <span class="artifact-name">{one.name}</span>
                  </a>
                  <span class="quiet">{bytes(one.size_bytes)}</span>
                </li>
              )}
            </For>
          </ul>
        </Show>
      </section>
      <section>
        <h2>Provenance</h2>
        <p class="quiet">None is kept for this job.</p>
      </section>
      <JobEgress job={props.job} />
      <Show when={props.secrets.length > 0}>
        <section>
          <h2>Secrets it read</h2>
          <ul class="names">
            <For each={props.secrets}>
              {(key) => (
                <li>
                  <Icon name="key" /> <code class="wrap">{key}</code>
                </li>
              )}
            </For>
          </ul>
        </section>
      </Show>
      <section>
        <h2>Details</h2>
        <dl class="facts">
          <dt>Job</dt>
          <dd>
            <code class="wrap">{props.job.id}</code>
          </dd>
          <Show when={props.job.trigger.commit_sha}>
            {(sha) => (
              <>
                <dt>Commit</dt>
                <dd>
                  <Outward to={props.job.commit_url}>
                    <code class="wrap">{sha()}</code>
                  </Outward>
                </dd>
              </>
            )}
          </Show>
          <Show when={props.job.started_at}>
            {(at) => (
              <>
                <dt>Began</dt>
                <dd>{exact(at())}</dd>
              </>
            )}
          </Show>
          <Show when={props.job.status === "running" ? props.job.deadline_at : null}>
            {(at) => (
              <>
                <dt>Must end by</dt>
                <dd>{exact(at())}</dd>
              </>
            )}
          </Show>
          <For each={Object.entries(props.job.trigger.params)}>
            {([name, value]) => (
              <>
                <dt>{name}</dt>
                <dd>
                  <code class="wrap">{value}</code>
                </dd>
              </>
            )}
          </For>
        </dl>
      </section>
    </aside>
  );
}

function stepTitle(step: Step): string {
  const facts = [`step ${step.sequence}`, step.image];
  if (step.exit_code !== null) facts.push(`exit code ${step.exit_code}`);
  if (step.retries > 0) facts.push(`attempt ${step.attempt} of ${step.retries + 1}`);
  if (step.peak_memory_bytes) facts.push(`${bytes(step.peak_memory_bytes)} of memory`);
  if (step.cpu_seconds !== null) facts.push(`${duration(step.cpu_seconds)} of processor time`);
  return facts.join(" · ");
}

/** The steps of a job, as a list that is a timeline too. */
import { For, Index, Show } from "solid-js";
import type { JobDetail, Step } from "../api/types";
import { now } from "../kit/clock";
import { useList } from "../kit/keys";
import { duration, secondsBetween } from "../kit/time";
import { StatusIcon } from "../parts/icons";
import { groupLegs, nameInLeg } from "./job-legs";
import { stepFacts, stepSpan, type JobTimes } from "./job-timeline";

export interface JobStepsProps {
  job: JobDetail;
  /** The step whose output alone is shown. */
  only: number | undefined;
  onStep: (sequence: number) => void;
  onOnly: (sequence: number | undefined) => void;
}

export function JobSteps(props: JobStepsProps) {
  useList(".step-link", "step");
  return (
    <section>
      <h2>Steps</h2>
      <Show
        when={props.job.steps.length > 0}
        fallback={<p class="quiet">{props.job.status === "pending" ? "The steps start with the job." : "No steps yet."}</p>}
      >
        <ol class="steps">
          <Index each={groupLegs(props.job.steps)}>
            {(group) => (
              <>
                <Show when={group().leg}>
                  <li class="step-leg">
                    <StatusIcon status={group().status} /> <span class="step-name">{group().leg}</span>
                  </li>
                </Show>
                <For each={group().sequences}>
                  {(sequence) => (
                    <Show when={props.job.steps.find((step) => step.sequence === sequence)}>
                      {(step) => (
                        <StepRow
                          step={step()}
                          job={props.job}
                          only={props.only === sequence}
                          onShow={() => props.onStep(sequence)}
                          onOnly={() => props.onOnly(props.only === sequence ? undefined : sequence)}
                        />
                      )}
                    </Show>
                  )}
                </For>
              </>
            )}
          </Index>
        </ol>
      </Show>
    </section>
  );
}

function StepRow(props: { step: Step; job: JobDetail; only: boolean; onShow: () => void; onOnly: () => void }) {
  return (
    <li class="step" classList={{ "in-leg": props.step.leg !== "" }}>
      <button type="button" class="step-link" onClick={() => props.onShow()} title={stepFacts(props.step)}>
        <StatusIcon status={props.step.status} />
        <span class="step-name">{nameInLeg(props.step)}</span>
        <span class="step-time">{props.step.started_at ? duration(secondsBetween(props.step.started_at, props.step.finished_at, now())) : ""}</span>
      </button>
      <button
        type="button"
        class="tool step-only"
        aria-pressed={props.only}
        aria-label={`Show only the output of ${props.step.name}`}
        title="Show only this step's output"
        onClick={() => props.onOnly()}
      >
        only
      </button>
      <StepBar step={props.step} job={props.job} />
      <Show when={props.step.message && props.step.status !== "success"}>
        <p class="step-message">{props.step.message}</p>
      </Show>
    </li>
  );
}

function StepBar(props: { step: Step; job: JobTimes }) {
  const span = () => stepSpan(props.step, props.job, now());
  const percent = (fraction: number): string => `${(100 * fraction).toFixed(2)}%`;
  return (
    <span class="step-line" aria-hidden="true">
      <span class={`step-bar is-${props.step.status}`} style={{ left: percent(span().left), width: `max(3px, ${percent(span().width)})` }} />
    </span>
  );
}

/** The head of a job: its status and cause in a sentence, what was built, and the actions on it. */
import { A } from "@solidjs/router";
import { For, Show } from "solid-js";
import type { Connection } from "../api/job-list-stream";
import { isFinished } from "../api/merging";
import type { Explanation, JobDetail } from "../api/types";
import { now } from "../kit/clock";
import { approvalSentence, commitTitle, jobSentence, startedBy } from "../parts/job-sentences";
import { exact } from "../kit/time";
import { Action } from "../parts/action";
import { Icon, STATUS_WORDS, StatusIcon } from "../parts/icons";
import { ExternalLink } from "../parts/links";
import { RelativeTime } from "../parts/relative-time";

export type JobVerb = "cancel" | "rerun" | "approve" | "environment";

type Verdict = "approve" | "reject";

type Act = (verb: JobVerb, body?: unknown) => Promise<void>;

export interface JobHeadProps {
  job: JobDetail;
  explanation: Explanation | undefined;
  connection: Connection;
  act: Act;
}

export function JobHead(props: JobHeadProps) {
  return (
    <header class="job-head">
      <div class="job-title">
        <h1>
          <StatusIcon status={props.job.status} bare />
          <A href={`/pipelines/${props.job.pipeline}`}>{props.job.pipeline}</A>
          <span class={`job-status is-${props.job.status}`}>{STATUS_WORDS[props.job.status]}</span>
        </h1>
        <Show when={commitTitle(props.job.trigger)}>{(text) => <p class="job-commit">{text()}</p>}</Show>
        <Source job={props.job} />
      </div>
      <Actions job={props.job} act={props.act} />
      <p class={`job-sentence is-${props.job.status}`} role="status">
        <span>{jobSentence(props.job, now())}</span>
        <Show when={props.job.hint}>
          <span class="job-hint">{props.job.hint}</span>
        </Show>
        <Show when={props.connection === "lost"}>
          <span class="job-hint bad">Connection lost. The log continues where it stopped once the connection is restored.</span>
        </Show>
      </p>
      <Approvals job={props.job} />
      <Show when={props.job.kept_until}>
        {(until) => (
          <p class="job-facts quiet" title={exact(until())}>
            The pod is kept until {exact(until())}: <code>danube shell {props.job.id}</code>
          </p>
        )}
      </Show>
      <Show when={props.job.status === "pending" ? props.explanation : undefined}>
        {(found) => (
          <ul class="job-explanation">
            <For each={found().lines}>{(line) => <li>{line}</li>}</For>
          </ul>
        )}
      </Show>
    </header>
  );
}

/** Branch, commit, pull request, trigger and time. */
function Source(props: { job: JobDetail }) {
  const trigger = () => props.job.trigger;
  return (
    <p class="job-facts quiet">
      <Show when={trigger().branch || trigger().tag || trigger().ref}>
        {(ref) => (
          <span class="ref">
            <Icon name="branch" />
            {ref()}
          </span>
        )}
      </Show>
      <Show
        when={trigger().commit_sha}
        fallback={
          <Show when={props.job.status === "pending"}>
            <span class="ref">
              <Icon name="commit" />
              commit not known yet
            </span>
          </Show>
        }
      >
        {(sha) => (
          <span class="ref" title={sha()}>
            <Icon name="commit" />
            <ExternalLink to={props.job.commit_url}>
              <code>{sha().slice(0, 8)}</code>
            </ExternalLink>
            <Show when={trigger().commit_author}>{(author) => <span>by {author()}</span>}</Show>
          </span>
        )}
      </Show>
      <Show when={trigger().pull_request}>
        {(pull) => (
          <span class="ref">
            <ExternalLink to={pull().url}>#{pull().number}</ExternalLink> {pull().title}
            <Show when={pull().source_repository}>{(source) => <span>from {source()}</span>}</Show>
          </span>
        )}
      </Show>
      <span class="ref">
        <Icon name="person" />
        {startedBy(trigger())}
      </span>
      <span class="ref" title={exact(props.job.created_at)}>
        <Icon name="clock" />
        <RelativeTime at={props.job.created_at} />
      </span>
    </p>
  );
}

/** Environments that the job asked for: what it waits for, and who decided when. */
function Approvals(props: { job: JobDetail }) {
  const waits = () => props.job.approvals.some((one) => one.state === "waiting");
  return (
    <Show when={props.job.approvals.length}>
      <ul class="job-explanation">
        <For each={props.job.approvals}>
          {(one) => (
            <li title={exact(one.decided_at ?? one.requested_at)}>
              {approvalSentence(one)} <RelativeTime at={one.decided_at ?? one.requested_at} />
            </li>
          )}
        </For>
        <Show when={waits() && props.job.approval_refused}>{(why) => <li>{why()}</li>}</Show>
      </ul>
    </Show>
  );
}

function Actions(props: { job: JobDetail; act: Act }) {
  const finished = () => isFinished(props.job.status);
  const may = (action: string): boolean => props.job.may.includes(action);
  const waiting = () => props.job.approvals.find((one) => one.state === "waiting");
  const refusal = (verb: Verdict) => (may(`${verb}-environment`) ? undefined : props.job.approval_refused);
  /** Before the job's own response neither a permission nor the reason of a refusal is known. */
  const decidable = (verb: Verdict) => (refusal(verb) === "" ? undefined : waiting());
  const decide = (sequence: number, decision: Verdict) => props.act("environment", { sequence, decision });
  const needsApproval = () => props.job.reason === "approval-required" && props.job.status === "pending";
  return (
    <div class="page-actions">
      <Show when={needsApproval() && may("approve") && props.job.trigger.commit_sha}>
        {(sha) => (
          <Action icon="check" kind="primary" act={() => props.act("approve", { commit_sha: sha() })}>
            Approve commit
          </Action>
        )}
      </Show>
      <Show when={decidable("approve")}>
        {(one) => (
          <Action
            icon="check"
            kind="primary"
            refused={refusal("approve")}
            act={() => decide(one().sequence, "approve")}
          >
            Approve {one().environment}
          </Action>
        )}
      </Show>
      <Show when={decidable("reject")}>
        {(one) => (
          <Action
            icon="stop"
            kind="danger"
            refused={refusal("reject")}
            confirm={`The job ends, and ${one().environment} is not changed by it.`}
            act={() => decide(one().sequence, "reject")}
          >
            Reject {one().environment}
          </Action>
        )}
      </Show>
      <Show when={finished() && may("rerun")}>
        <Action icon="again" act={() => props.act("rerun")}>
          Rerun job
        </Action>
      </Show>
      <Show when={!finished() && may("cancel")}>
        <Action icon="stop" kind="danger" act={() => props.act("cancel")}>
          Cancel job
        </Action>
      </Show>
    </div>
  );
}

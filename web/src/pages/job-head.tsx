/** The head of a job: state and cause in a sentence, what it is of, what one may do with it. */
import { A } from "@solidjs/router";
import { For, Show } from "solid-js";
import type { Connection } from "../api/list-stream";
import type { Explanation, JobDetail } from "../api/types";
import { jobSentence, said, startedBy } from "../kit/sentences";
import { exact, now } from "../kit/time";
import { Action } from "../parts/action";
import { Icon, STATUS_WORDS, StatusIcon } from "../parts/icons";
import { Ago, Outward } from "../parts/small";

export interface JobHeadProps {
  job: JobDetail;
  explanation: Explanation | undefined;
  connection: Connection;
  act: (verb: "cancel" | "rerun" | "approve", body?: unknown) => Promise<void>;
}

export function JobHead(props: JobHeadProps) {
  const job = () => props.job;
  const open = () => job().status === "pending" || job().status === "running";
  const may = (action: string): boolean => job().may.includes(action);
  const needsApproval = () => job().reason === "approval-required" && job().status === "pending";
  return (
    <header class="job-head">
      <div class="job-title">
        <h1>
          <StatusIcon status={job().status} bare />
          <A href={`/pipelines/${job().pipeline}`}>{job().pipeline}</A>
          <span class={`job-status is-${job().status}`}>{STATUS_WORDS[job().status]}</span>
        </h1>
        <Show when={said(job().trigger)}>{(text) => <p class="job-commit">{text()}</p>}</Show>
        <p class="job-facts quiet">
          <Show when={job().trigger.branch || job().trigger.tag || job().trigger.ref}>
            {(ref) => (
              <span class="ref">
                <Icon name="branch" />
                {ref()}
              </span>
            )}
          </Show>
          <Show when={job().trigger.commit_sha}>
            {(sha) => (
              <span class="ref" title={sha()}>
                <Icon name="commit" />
                <Outward to={job().commit_url}>
                  <code>{sha().slice(0, 8)}</code>
                </Outward>
                <Show when={job().trigger.commit_author}>{(author) => <span>by {author()}</span>}</Show>
              </span>
            )}
          </Show>
          <Show when={job().trigger.pull_request}>
            {(pull) => (
              <span class="ref">
                <Outward to={pull().url}>#{pull().number}</Outward> {pull().title}
                <Show when={pull().source_repository}>{(source) => <span>from {source()}</span>}</Show>
              </span>
            )}
          </Show>
          <span class="ref">
            <Icon name="person" />
            {startedBy(job().trigger)}
          </span>
          <span class="ref" title={exact(job().created_at)}>
            <Icon name="clock" />
            <Ago at={job().created_at} />
          </span>
        </p>
      </div>
      <div class="page-actions">
        <Show when={needsApproval() && may("approve")}>
          <Action icon="check" kind="primary" act={() => props.act("approve", { commit_sha: job().trigger.commit_sha })}>
            Approve this commit
          </Action>
        </Show>
        <Show when={!open() && may("rerun")}>
          <Action icon="again" act={() => props.act("rerun")}>
            Run again
          </Action>
        </Show>
        <Show when={open() && may("cancel")}>
          <Action icon="stop" kind="danger" act={() => props.act("cancel")}>
            Cancel
          </Action>
        </Show>
      </div>
      <p class={`job-sentence is-${job().status}`} role="status">
        <span>{jobSentence(job(), now())}</span>
        <Show when={job().hint}>
          <span class="job-hint">{job().hint}</span>
        </Show>
        <Show when={props.connection === "lost"}>
          <span class="job-hint bad">The connection is lost; the log goes on where it stopped as soon as it is back.</span>
        </Show>
      </p>
      <Show when={job().status === "pending" ? props.explanation : undefined}>
        {(found) => (
          <ul class="job-why">
            <For each={found().lines}>{(line) => <li>{line}</li>}</For>
          </ul>
        )}
      </Show>
    </header>
  );
}

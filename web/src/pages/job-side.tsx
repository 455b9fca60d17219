/** The column beside the log: steps, artifacts, provenance, network, secrets, details. */
import { For, Show } from "solid-js";
import { jobPath } from "../api/client";
import type { Artifact, JobDetail, Provenance, PushedImage } from "../api/types";
import { bytes } from "../kit/sizes";
import { exact } from "../kit/time";
import { Fact } from "../parts/facts";
import { Icon } from "../parts/icons";
import { ExternalLink } from "../parts/links";
import { JobEgress } from "./job-egress";
import { JobFiles } from "./job-files";
import { JobNotes } from "./job-notes";
import { JobSteps, type JobStepsProps } from "./job-steps";
import { JobTests } from "./job-tests";

export interface JobSideProps extends JobStepsProps {
  artifacts: readonly Artifact[];
  images: readonly PushedImage[];
  provenance: Provenance | null;
  /** Names of the secrets that the job has read. */
  secrets: readonly string[];
}

export function JobSide(props: JobSideProps) {
  return (
    <aside class="job-side" aria-label="Steps and artifacts">
      <JobNotes job={props.job} />
      <JobTests job={props.job} />
      <JobSteps job={props.job} only={props.only} onStep={props.onStep} onOnly={props.onOnly} />
      <Artifacts job={props.job} artifacts={props.artifacts} images={props.images} />
      <Signed job={props.job} provenance={props.provenance} />
      <JobEgress job={props.job} />
      <Secrets keys={props.secrets} />
      <JobFiles job={props.job} />
      <Details job={props.job} />
    </aside>
  );
}

function Artifacts(props: { job: JobDetail; artifacts: readonly Artifact[]; images: readonly PushedImage[] }) {
  return (
    <section>
      <h2>Artifacts</h2>
      <Show
        when={props.artifacts.length > 0}
        fallback={
          <p class="quiet">
            No artifacts. A danubefile stores one with <code>artifacts.upload()</code>.
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
                <Show when={one.describes}>
                  <span class="quiet">SBOM of {one.describes}</span>
                </Show>
              </li>
            )}
          </For>
        </ul>
      </Show>
      <Show when={props.images.length > 0}>
        <ul class="artifacts">
          <For each={props.images}>
            {(one) => (
              <li>
                <span class="artifact-name" title={one.digest}>
                  {one.name}
                </span>
                <span class="quiet" title={one.problem}>
                  {one.attestation}
                </span>
              </li>
            )}
          </For>
        </ul>
      </Show>
    </section>
  );
}

function Signed(props: { job: JobDetail; provenance: Provenance | null }) {
  return (
    <section>
      <h2>Provenance</h2>
      <Show
        when={props.provenance?.keyid}
        fallback={<p class="quiet">{props.provenance?.problem ? `It could not be signed: ${props.provenance.problem}` : "No provenance is stored for this job."}</p>}
      >
        {(keyid) => (
          <ul class="artifacts">
            <li>
              <a href={jobPath(props.job.id, "/provenance")} rel="external" download={`${props.job.id}.intoto.jsonl`} title={`signed with key ${keyid()}`}>
                <Icon name="file" />
                <span class="artifact-name">Signed statement</span>
              </a>
              <span class="quiet">in-toto, SLSA</span>
            </li>
          </ul>
        )}
      </Show>
    </section>
  );
}

function Secrets(props: { keys: readonly string[] }) {
  return (
    <Show when={props.keys.length > 0}>
      <section>
        <h2>Secrets read</h2>
        <ul class="secret-names">
          <For each={props.keys}>
            {(key) => (
              <li>
                <Icon name="key" /> <code class="wrap">{key}</code>
              </li>
            )}
          </For>
        </ul>
      </section>
    </Show>
  );
}

function Details(props: { job: JobDetail }) {
  return (
    <section>
      <h2>Details</h2>
      <dl class="facts">
        <Fact name="Job">
          <code class="wrap">{props.job.id}</code>
        </Fact>
        <Show when={props.job.trigger.commit_sha}>
          {(sha) => (
            <Fact name="Commit">
              <ExternalLink to={props.job.commit_url}>
                <code class="wrap">{sha()}</code>
              </ExternalLink>
            </Fact>
          )}
        </Show>
        <Show when={props.job.started_at}>{(at) => <Fact name="Started">{exact(at())}</Fact>}</Show>
        <Show when={props.job.status === "running" ? props.job.deadline_at : null}>{(at) => <Fact name="Deadline">{exact(at())}</Fact>}</Show>
        <For each={Object.entries(props.job.trigger.params)}>
          {([name, value]) => (
            <Fact name={name}>
              <code class="wrap">{value}</code>
            </Fact>
          )}
        </For>
      </dl>
    </section>
  );
}

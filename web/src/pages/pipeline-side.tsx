/** The side column of a pipeline: statistics, triggers, configuration, definition, permissions. */
import { For, lazy, Show, Suspense } from "solid-js";
import { pipelinePath } from "../api/client";
import { createData } from "../api/data";
import type { CacheList, Definition, Job, PipelineDetail, Statistics } from "../api/types";
import { bytes } from "../kit/sizes";
import { duration } from "../kit/time";
import { Command } from "../parts/empty";
import { Fact } from "../parts/facts";
import { ExternalLink } from "../parts/links";
import { Loaded } from "../parts/loaded";
import { RelativeTime } from "../parts/relative-time";

/** Caches that are listed, the most recently used. */
const SHOWN_CACHES = 10;

const DurationChart = lazy(() => import("../parts/chart"));

export function PipelineSide(props: { pipeline: PipelineDetail; statistics: Statistics | undefined; recent: readonly Job[] }) {
  return (
    <aside class="column-side">
      <section>
        <h2>Statistics</h2>
        <Show when={props.statistics}>{(found) => <Figures statistics={found()} />}</Show>
        <div class="chart-box">
          <Show when={props.recent.filter((job) => job.finished_at && job.started_at).length > 1}>
            <Suspense>
              <DurationChart jobs={props.recent} />
            </Suspense>
          </Show>
        </div>
      </section>
      <Triggers pipeline={props.pipeline} />
      <AppliedConfiguration pipeline={props.pipeline} />
      <Caches name={props.pipeline.name} />
      <DefinitionOutline name={props.pipeline.name} script={props.pipeline.script} />
      <section>
        <h2>Permissions</h2>
        <dl class="facts">
          <For each={Object.entries(props.pipeline.levels)} fallback={<dd class="quiet">Global administrators only.</dd>}>
            {([team, level]) => <Fact name={team}>{level}</Fact>}
          </For>
        </dl>
      </section>
    </aside>
  );
}

function Figures(props: { statistics: Statistics }) {
  return (
    <dl class="figures">
      <div>
        <dt>success rate</dt>
        <dd>{props.statistics.success_rate === null ? "–" : `${Math.round(props.statistics.success_rate * 100)} %`}</dd>
      </div>
      <div>
        <dt>median duration</dt>
        <dd>{duration(props.statistics.duration_seconds_median)}</dd>
      </div>
      <div>
        <dt>95th percentile</dt>
        <dd>{duration(props.statistics.duration_seconds_p95)}</dd>
      </div>
      <div>
        <dt>runs counted</dt>
        <dd>{props.statistics.jobs.toLocaleString("en")}</dd>
      </div>
    </dl>
  );
}

function Triggers(props: { pipeline: PipelineDetail }) {
  return (
    <section>
      <h2>Triggers</h2>
      <For each={props.pipeline.starts.filter((one) => one.kind !== "manual")}>
        {(one) => (
          <p class="trigger" title={one.schedule}>
            {one.words}
            <Show when={one.next_at}>
              {(at) => (
                <span class="quiet">
                  , next <RelativeTime at={at()} />
                </span>
              )}
            </Show>
          </p>
        )}
      </For>
      <p>
        Manually: <Command text={`danube trigger ${props.pipeline.name}`} />
      </p>
    </section>
  );
}

/** The pipeline's place in the configuration repository, and its YAML. */
function AppliedConfiguration(props: { pipeline: PipelineDetail }) {
  return (
    <Show when={props.pipeline.place}>
      <section>
        <h2>Configuration</h2>
        <p class="quiet">
          <ExternalLink to={props.pipeline.place_url}>
            <code class="wrap">{props.pipeline.place}</code>
          </ExternalLink>{" "}
          at <code title={props.pipeline.revision}>{props.pipeline.revision.slice(0, 12)}</code>
        </p>
        <Show when={props.pipeline.text}>
          {(text) => (
            <details class="applied-yaml">
              <summary>Applied YAML</summary>
              <pre tabindex="0" aria-label="YAML">
                {text()}
              </pre>
            </details>
          )}
        </Show>
      </section>
    </Show>
  );
}

/** What jobs keep for later ones; nothing for a pipeline without any. */
function Caches(props: { name: string }) {
  const data = createData<CacheList>(() => pipelinePath(props.name, "/caches"));
  return (
    <Show when={data.value()?.caches.length ? data.value() : undefined}>
      {(found) => (
        <section>
          <h2>Caches</h2>
          <dl class="facts">
            <For each={found().caches.slice(0, SHOWN_CACHES)}>
              {(one) => (
                <Fact name={one.name}>
                  <span title={`key ${one.key}, image ${one.image}`}>
                    {one.ref.replace("refs/heads/", "")}, {bytes(one.size_bytes)}, {one.hits.toLocaleString("en")} hits
                  </span>
                  <span class="quiet">
                    , used <RelativeTime at={one.used_at} />
                  </span>
                </Fact>
              )}
            </For>
          </dl>
          <p class="quiet">
            {found().caches.length.toLocaleString("en")} with {bytes(found().size_bytes)} of {bytes(found().limit_bytes)}:{" "}
            <Command text={`danube caches list ${props.name}`} />
          </p>
        </section>
      )}
    </Show>
  );
}

/** The steps of the danubefile, which the server finds without running it. */
function DefinitionOutline(props: { name: string; script: string }) {
  const data = createData<Definition>(() => pipelinePath(props.name, "/definition"));
  return (
    <section>
      <h2>
        Steps in <code>{props.script}</code>
      </h2>
      <Loaded data={data}>
        {(found) => (
          <>
            <For each={found().findings}>
              {(one) => (
                <p class="bad">
                  <ExternalLink to={one.url}>
                    <code>{one.place}</code>
                  </ExternalLink>{" "}
                  {one.what}
                </p>
              )}
            </For>
            <Show when={found().outline}>
              {(outline) => (
                <ol class="outline">
                  <For each={outline().steps}>
                    {(step) => (
                      <li>
                        <span>{step.name}</span> <span class="quiet">
                          {step.image} <ExternalLink to={found().script_url && `${found().script_url}#L${step.line}`}>line {step.line}</ExternalLink>
                        </span>
                      </li>
                    )}
                  </For>
                </ol>
              )}
            </Show>
          </>
        )}
      </Loaded>
    </section>
  );
}

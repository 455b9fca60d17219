/** The egress ledger of a job: allowed and refused connections by step. It is loaded when it is opened. */
import { createEffect, createMemo, createSignal, For, on, Show } from "solid-js";
import { jobPath } from "../api/client";
import { createData } from "../api/data";
import type { Destination, Egress, JobDetail } from "../api/types";
import { bytes, count } from "../kit/sizes";
import { Icon } from "../parts/icons";
import { Loaded } from "../parts/loaded";
import { byStep, destinationName, missingRules, stepTitle } from "./egress-ledger";

export function JobEgress(props: { job: JobDetail }) {
  const [opened, setOpened] = createSignal(false);
  const data = createData<Egress>(() => (opened() ? jobPath(props.job.id, "/egress") : undefined));
  const ended = () => props.job.steps.filter((step) => step.finished_at).length;
  createEffect(on([ended, () => props.job.status], () => data.reload(), { defer: true }));
  return (
    <section>
      <h2>Network</h2>
      <details class="egress" onToggle={(event) => event.currentTarget.open && setOpened(true)}>
        <summary>Allowed and refused connections</summary>
        <Show when={data.problem()?.status !== 404} fallback={<p class="quiet">No connections are recorded for this job.</p>}>
          <Loaded data={data}>{(found) => <Ledger egress={found()} job={props.job} />}</Loaded>
        </Show>
      </details>
    </section>
  );
}

function Ledger(props: { egress: Egress; job: JobDetail }) {
  const steps = createMemo(() => byStep(props.egress.destinations));
  const missing = () => missingRules(props.egress.destinations);
  return (
    <Show
      when={steps().length > 0}
      fallback={<p class="quiet">{props.egress.network === "host" ? "The job uses the host's network, where connections are not recorded." : "No connection was attempted."}</p>}
    >
      <For each={steps()}>
        {([step, destinations]) => (
          <>
            <h3>{stepTitle(step, props.job.steps)}</h3>
            <ul class="destinations">
              <For each={destinations}>{(one) => <DestinationRow destination={one} />}</For>
            </ul>
          </>
        )}
      </For>
      <Show when={missing().length > 0}>
        <p class="quiet">To allow the refused destinations, set in the pipeline:</p>
        <p>
          <code class="command wrap">egress_allowlist: [{missing().join(", ")}]</code>
        </p>
      </Show>
    </Show>
  );
}

function DestinationRow(props: { destination: Destination }) {
  return (
    <li class={`destination is-${props.destination.verdict}`} title={props.destination.addresses.join(", ")}>
      <Icon name={props.destination.verdict === "allowed" ? "check" : "stop"} />
      <span>
        <code class="wrap">{destinationName(props.destination)}</code> <b>{props.destination.verdict}</b>
        <span class="quiet">
          {" "}
          {count(props.destination.contacts, "time")}
          <Show when={props.destination.verdict === "allowed"} fallback={<>: {props.destination.message}</>}>
            , {bytes(props.destination.sent_bytes)} out, {bytes(props.destination.received_bytes)} in
          </Show>
        </span>
      </span>
    </li>
  );
}

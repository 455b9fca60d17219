/** What a job reached and what it was refused, by step: the egress ledger. Nothing is loaded until somebody opens it. */
import { createEffect, createMemo, createSignal, For, on, Show } from "solid-js";
import { jobPath } from "../api/client";
import { createData } from "../api/data";
import type { Destination, Egress, JobDetail } from "../api/types";
import { bytes, count } from "../kit/sizes";
import { Icon } from "../parts/icons";
import { Loaded } from "../parts/small";

export function JobEgress(props: { job: JobDetail }) {
  const [opened, setOpened] = createSignal(false);
  const data = createData<Egress>(() => (opened() ? jobPath(props.job.id, "/egress") : undefined));
  const ended = () => props.job.steps.filter((step) => step.finished_at).length;
  createEffect(on([ended, () => props.job.status], () => data.reload(), { defer: true }));
  return (
    <section>
      <h2>Network</h2>
      <details class="egress" onToggle={(event) => event.currentTarget.open && setOpened(true)}>
        <summary>What it reached and was refused</summary>
        <Show when={data.problem()?.status !== 404} fallback={<p class="quiet">Nothing is recorded here.</p>}>
          <Loaded data={data}>{(found) => <Ledger found={found()} job={props.job} />}</Loaded>
        </Show>
      </details>
    </section>
  );
}

function Ledger(props: { found: Egress; job: JobDetail }) {
  const steps = createMemo(() => {
    const groups = new Map<number | null, Destination[]>();
    for (const one of props.found.destinations) groups.set(one.step, [...(groups.get(one.step) ?? []), one]);
    return [...groups].sort(([a], [b]) => (a ?? -1) - (b ?? -1));
  });
  const missing = () => [...new Set(props.found.destinations.filter((one) => one.verdict === "refused").flatMap((one) => one.allow))];
  const name = (step: number | null): string => {
    if (step === null) return "Step not known";
    return step === 0 ? "The danubefile itself" : (props.job.steps.find((one) => one.sequence === step)?.name ?? `Step ${step}`);
  };
  return (
    <Show
      when={steps().length > 0}
      fallback={<p class="quiet">{props.found.network === "host" ? "It has the host's network, where nothing is recorded." : "It tried to reach nothing."}</p>}
    >
      <For each={steps()}>
        {([step, destinations]) => (
          <>
            <h3>{name(step)}</h3>
            <ul class="destinations">
              <For each={destinations}>{(one) => <Place one={one} />}</For>
            </ul>
          </>
        )}
      </For>
      <Show when={missing().length > 0}>
        <p class="quiet">To allow what was refused, in the pipeline:</p>
        <p>
          <code class="command wrap">egress_allowlist: [{missing().join(", ")}]</code>
        </p>
      </Show>
    </Show>
  );
}

function Place(props: { one: Destination }) {
  const unnamed = () => (props.one.way === "raw-socket" ? "a raw socket" : "an unnamed place");
  const where = () => (props.one.host ? `${props.one.host}:${props.one.port}` : unnamed());
  return (
    <li class={`destination is-${props.one.verdict}`} title={props.one.addresses.join(", ")}>
      <Icon name={props.one.verdict === "allowed" ? "check" : "stop"} />
      <span>
        <code class="wrap">{where()}</code> <b>{props.one.verdict}</b>
        <span class="quiet">
          {" "}
          {count(props.one.contacts, "time")}
          <Show when={props.one.verdict === "allowed"} fallback={<>: {props.one.message}</>}>
            , {bytes(props.one.sent_bytes)} out, {bytes(props.one.received_bytes)} in
          </Show>
        </span>
      </span>
    </li>
  );
}

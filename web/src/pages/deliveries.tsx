/** What arrived from forges and clocks, newest first, and what it did to each pipeline, and why. */
import { A } from "@solidjs/router";
import { createMemo, createSignal, For, Show } from "solid-js";
import { API, get, withQuery } from "../api/client";
import { createData } from "../api/data";
import { onJobs } from "../api/events";
import type { Delivery, DeliveryPage, Outcome } from "../api/types";
import { Older } from "../parts/older";
import { Ago, Empty, Loaded } from "../parts/small";

const PAGE = 10;

const RESULTS: Record<Outcome["result"], string> = {
  started: "started",
  skipped: "skipped",
  "not-meant": "not meant",
  refused: "refused",
};

export function Deliveries() {
  const path = (cursor?: number): string => withQuery(`${API}/deliveries`, { limit: PAGE, cursor });
  const first = createData<DeliveryPage>(() => path());
  const [more, setMore] = createSignal<DeliveryPage | undefined>(undefined);
  // Whatever starts a job arrived just before it.
  onJobs((job) => {
    if (!job || job.status === "pending") first.reload();
  });
  const shown = createMemo(() => {
    const oldest = more()?.deliveries ?? [];
    const known = new Set(oldest.map((one) => one.id));
    return [...(first.value()?.deliveries ?? []).filter((one) => !known.has(one.id)), ...oldest];
  });
  const cursor = () => (more() ? more()?.cursor : first.value()?.cursor);
  async function loadMore(at: number): Promise<void> {
    const next = await get<DeliveryPage>(path(at));
    // What is shown stays, also when newer ones push it out of the first page.
    setMore({ deliveries: [...shown(), ...next.deliveries], cursor: next.cursor });
  }
  return (
    <section aria-label="Deliveries">
      <h2>What arrived</h2>
      <Loaded data={first}>
        {() => (
          <>
            <Show when={shown().length > 0} fallback={<Empty what="Nothing has arrived in the last thirty days. Which webhooks are refused, and why, says:" command="danube config status" />}>
              <ul class="deliveries">
                <For each={shown()}>{(one) => <Row one={one} />}</For>
              </ul>
            </Show>
            <Older what="deliveries" cursor={cursor()} load={loadMore} />
          </>
        )}
      </Loaded>
    </section>
  );
}

function Row(props: { one: Delivery }) {
  return (
    <li class="delivery">
      <span class="delivery-head">
        <span class="chip">{props.one.source}</span>
        <span class="delivery-event" title={props.one.delivery}>
          {props.one.event}
        </span>
        <span class="quiet">
          <Ago at={props.one.received_at} />
        </span>
      </span>
      <Show when={!props.one.settled_at}>
        <span class="quiet">It is being looked at.</span>
      </Show>
      <Show when={props.one.note}>
        <span class="quiet">{props.one.note}</span>
      </Show>
      <For each={props.one.outcomes}>
        {(outcome) => (
          <span class={`outcome is-${outcome.result}`}>
            <A href={`/pipelines/${outcome.pipeline}`}>{outcome.pipeline}</A>{" "}
            <Show when={outcome.job} fallback={<b>{RESULTS[outcome.result]}</b>}>
              {(job) => <A href={`/jobs/${job()}`}>{RESULTS[outcome.result]}</A>}
            </Show>
            <Show when={outcome.why}>
              <span class="quiet">: {outcome.why}</span>
            </Show>
          </span>
        )}
      </For>
    </li>
  );
}

/** Webhook deliveries and schedules, newest first, with their outcome for each pipeline. */
import { A } from "@solidjs/router";
import { createMemo, createSignal, For, Show } from "solid-js";
import { API, get, withQuery } from "../api/client";
import { createData } from "../api/data";
import { onJobs } from "../api/events";
import type { Delivery, DeliveryPage, Outcome } from "../api/types";
import { Older } from "../parts/older";
import { Empty } from "../parts/empty";
import { Loaded } from "../parts/loaded";
import { RelativeTime } from "../parts/relative-time";

const PAGE = 10;

const RESULTS: Record<Outcome["result"], string> = {
  started: "started",
  skipped: "skipped",
  "not-meant": "not matched",
  refused: "refused",
  known: "known",
  listed: "listed",
};

export function Deliveries() {
  const path = (cursor?: number): string => withQuery(`${API}/deliveries`, { limit: PAGE, cursor });
  const first = createData<DeliveryPage>(() => path());
  const [more, setMore] = createSignal<DeliveryPage | undefined>(undefined);
  // A new job may come from a new delivery.
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
    // Deliveries that newer ones push out of the first page stay shown.
    setMore({ deliveries: [...shown(), ...next.deliveries], cursor: next.cursor });
  }
  return (
    <section aria-label="Deliveries">
      <h2>Deliveries</h2>
      <Loaded data={first}>
        {() => (
          <>
            <Show when={shown().length > 0} fallback={<Empty text="No deliveries in the last 30 days. To see which webhooks are rejected, and why:" command="danube config status" />}>
              <ul class="deliveries">
                <For each={shown()}>{(one) => <DeliveryRow delivery={one} />}</For>
              </ul>
            </Show>
            <Older what="deliveries" cursor={cursor()} load={loadMore} />
          </>
        )}
      </Loaded>
    </section>
  );
}

function DeliveryRow(props: { delivery: Delivery }) {
  return (
    <li class="delivery">
      <span class="delivery-head">
        <span class="chip">{props.delivery.source}</span>
        <span class="delivery-event" title={props.delivery.delivery}>
          {props.delivery.event}
        </span>
        <span class="quiet">
          <RelativeTime at={props.delivery.received_at} />
        </span>
      </span>
      <Show when={!props.delivery.settled_at}>
        <span class="quiet">Processing.</span>
      </Show>
      <Show when={props.delivery.note}>
        <span class="quiet">{props.delivery.note}</span>
      </Show>
      <For each={props.delivery.outcomes}>
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

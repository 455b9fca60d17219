/** The server itself, for administrators: drain, health, figures. */
import { For, Show } from "solid-js";
import { API, write } from "../api/client";
import { may } from "../api/session";
import type { System } from "../api/types";
import { bytes } from "../kit/sizes";
import { Action } from "../parts/action";
import { Fact } from "../parts/facts";
import { Icon } from "../parts/icons";
import { RelativeTime } from "../parts/relative-time";

export function SystemSide(props: { system: System; onChange: () => void }) {
  return (
    <>
      <Drain draining={props.system.draining} onChange={props.onChange} />
      <Health subsystems={props.system.subsystems} />
      <Show when={props.system.repairs.length}>
        <Repairs repairs={props.system.repairs} />
      </Show>
      <Server system={props.system} />
    </>
  );
}

function Drain(props: { draining: System["draining"]; onChange: () => void }) {
  async function send(verb: "drain" | "resume"): Promise<void> {
    await write("POST", `${API}/system/${verb}`);
    props.onChange();
  }
  return (
    <section>
      <h2>Drain</h2>
      <Show
        when={props.draining.active}
        fallback={
          <>
            <p>The server accepts new jobs.</p>
            <Show when={may("drain")}>
              <Action icon="stop" confirm="Running jobs continue; no new job starts until the server is resumed." act={() => send("drain")}>
                Drain server
              </Action>
            </Show>
          </>
        }
      >
        <p class="notice">
          Draining: no new job starts. Started by {props.draining.by}
          <Show when={props.draining.since}>
            {(since) => (
              <>
                {" "}
                <RelativeTime at={since()} />
              </>
            )}
          </Show>
          .
        </p>
        <Show when={may("drain")}>
          <Action icon="play" kind="primary" act={() => send("resume")}>
            Resume server
          </Action>
        </Show>
      </Show>
    </section>
  );
}

function Health(props: { subsystems: System["subsystems"] }) {
  return (
    <section>
      <h2>Health</h2>
      <ul class="subsystems">
        <For each={props.subsystems}>
          {(one) => (
            <li class="subsystem" classList={{ "is-unhealthy": !one.ok }}>
              <Icon name={one.ok ? "check" : "stop"} />
              <span>
                <b>{one.part}</b> <span class="hidden">{one.ok ? "healthy:" : "unhealthy:"}</span> <span class="quiet">{one.says}</span>
                <Show when={one.hint}>
                  {" "}
                  <span class="subsystem-hint">{one.hint}</span>
                </Show>
              </span>
            </li>
          )}
        </For>
      </ul>
    </section>
  );
}

function Repairs(props: { repairs: System["repairs"] }) {
  return (
    <section>
      <h2>Repairs</h2>
      <ul class="subsystems">
        <For each={props.repairs}>
          {(one) => (
            <li class="subsystem" classList={{ "is-unhealthy": one.outcome !== "done" }}>
              <Icon name={one.outcome === "done" ? "check" : "stop"} />
              <span>
                <b>{one.repair}</b> <RelativeTime at={one.at} /> <span class="quiet">{one.what}</span>
              </span>
            </li>
          )}
        </For>
      </ul>
    </section>
  );
}

function Server(props: { system: System }) {
  const used = () => 1 - props.system.disk_free_bytes / Math.max(1, props.system.disk_total_bytes);
  return (
    <section>
      <h2>Server</h2>
      <dl class="facts">
        <Fact name="Version">{props.system.version}</Fact>
        <Fact name="Started">
          <RelativeTime at={props.system.started_at} />
        </Fact>
        <Fact name="Concurrent jobs">at most {props.system.max_concurrent_jobs}</Fact>
        <For each={Object.entries(props.system.phases).filter(([, amount]) => amount > 0)}>
          {([phase, amount]) => <Fact name={phase}>{amount}</Fact>}
        </For>
        <Fact name="Disk">
          {bytes(props.system.disk_free_bytes)} free of {bytes(props.system.disk_total_bytes)}
          <meter min="0" max="1" low={0.8} high={0.92} optimum={0.3} value={used()} aria-label="Disk in use" />
        </Fact>
      </dl>
    </section>
  );
}

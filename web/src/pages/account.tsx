/** Oneself: teams, the browsers that are logged in, tokens for machines. */
import { createSignal, For, Show } from "solid-js";
import { API, write } from "../api/client";
import { createData } from "../api/data";
import { logOut, me } from "../api/session";
import type { Session, Token } from "../api/types";
import { useTab } from "../kit/tab";
import { Action, createForm } from "../parts/action";
import { Refused } from "../parts/refused";
import { Ago, Empty, Loaded, PageHead } from "../parts/small";

const SCOPES = ["read", "write", "approve", "secrets", "admin"];

export default function Account() {
  useTab(() => "My account");
  const teams = () => Object.entries(me()?.teams ?? {}).map(([team, role]) => `${team} (${role})`);
  return (
    <div class="page">
      <PageHead
        title={me()?.name ?? ""}
        under={`${me()?.global_admin ? "Global administrator. " : ""}${teams().length > 0 ? `Teams: ${teams().join(", ")}.` : "In no team."}`}
      >
        <Show when={me()?.kind === "person"}>
          <Action act={logOut}>Log out</Action>
        </Show>
      </PageHead>
      <Show when={me()?.kind === "person"} fallback={<Empty what="You come through the server's own socket, which has neither sessions nor tokens." />}>
        <Sessions />
        <Tokens />
      </Show>
    </div>
  );
}

function Sessions() {
  const data = createData<{ sessions: Session[] }>(() => `${API}/sessions`);
  return (
    <section>
      <h2>Where I am logged in</h2>
      <Loaded data={data}>
        {(found) => (
          <ul class="cards">
            <For each={found().sessions}>
              {(one) => (
                <li class="card">
                  <div>
                    <b>{browser(one.user_agent)}</b> from {one.address}
                    <Show when={one.current}>
                      {" "}
                      <span class="chip">this one</span>
                    </Show>
                    <p class="quiet">
                      Begun <Ago at={one.created_at} />, last seen <Ago at={one.seen_at} />, ends <Ago at={one.expires_at} />
                    </p>
                  </div>
                  <Show when={!one.current}>
                    <Action
                      act={async () => {
                        await write("DELETE", `${API}/sessions/${one.id}`);
                        data.reload();
                      }}
                    >
                      End it
                    </Action>
                  </Show>
                </li>
              )}
            </For>
          </ul>
        )}
      </Loaded>
    </section>
  );
}

/** "Firefox on Linux"; the whole text where it names neither. */
export function browser(agent: string): string {
  const name = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(agent)?.[1] ?? agent.slice(0, 60);
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(agent)?.[1];
  const known: Record<string, string> = { Edg: "Edge", OPR: "Opera" };
  return `${known[name] ?? name}${system ? ` on ${system}` : ""}` || "An unknown browser";
}

function Tokens() {
  const data = createData<{ tokens: Token[] }>(() => `${API}/tokens`);
  const [made, setMade] = createSignal("");
  const form = createForm(async (fields) => {
    const body = { name: String(fields.get("name")), scopes: fields.getAll("scopes").map(String), days: Number(fields.get("days")) };
    const answer = await write<{ token: string }>("POST", `${API}/tokens`, body);
    setMade(answer.token);
    data.reload();
  });
  return (
    <section>
      <h2>Tokens for machines</h2>
      <Show when={made()}>
        {(token) => (
          <div class="notice is-good" role="status">
            <p class="notice-what">Copy it now; it is never shown again.</p>
            <code class="command wrap">{token()}</code>
          </div>
        )}
      </Show>
      <Loaded data={data}>
        {(found) => (
          <Show when={found().tokens.length > 0} fallback={<Empty what="None. Make one here, or on the machine that needs it:" command="danube login URL" />}>
            <ul class="cards">
              <For each={found().tokens}>
                {(one) => (
                  <li class="card">
                    <div>
                      <b>{one.name}</b> <For each={one.scopes}>{(scope) => <span class="chip">{scope}</span>}</For>
                      <p class="quiet">
                        Made <Ago at={one.created_at} />, ends <Ago at={one.expires_at} />,{" "}
                        <Show when={one.used_at} fallback="never used">
                          {(at) => (
                            <>
                              last used <Ago at={at()} /> from {one.used_from}
                            </>
                          )}
                        </Show>
                      </p>
                    </div>
                    <Action
                      kind="danger"
                      confirm={`Whatever uses ${one.name} is refused from then on.`}
                      act={async () => {
                        await write("DELETE", `${API}/tokens/${one.id}`);
                        data.reload();
                      }}
                    >
                      Revoke
                    </Action>
                  </li>
                )}
              </For>
            </ul>
          </Show>
        )}
      </Loaded>
      <form class="form panel" onSubmit={(event) => void form.submit(event)}>
        <h3>Make one</h3>
        <label>
          What it is for
          <input name="name" required maxlength={100} placeholder="laptop" autocomplete="off" />
        </label>
        <fieldset class="choices">
          <legend>What it may</legend>
          <For each={SCOPES}>
            {(scope) => (
              <label>
                <input type="checkbox" name="scopes" value={scope} checked={scope === "read"} /> {scope}
              </label>
            )}
          </For>
        </fieldset>
        <label>
          Days that it lives
          <input name="days" type="number" min={1} max={366} value={90} required />
        </label>
        <button type="submit" class="button is-primary" disabled={form.busy()}>
          Make a token
        </button>
        <Show when={form.problem()}>{(problem) => <Refused problem={problem()} />}</Show>
      </form>
    </section>
  );
}

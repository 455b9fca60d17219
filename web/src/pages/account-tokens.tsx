/** The user's API tokens: listed, created, revoked. */
import { createSignal, For, Show } from "solid-js";
import { API, write } from "../api/client";
import { createData } from "../api/data";
import type { Token } from "../api/types";
import { Action, createForm } from "../parts/action";
import { Empty } from "../parts/empty";
import { ErrorNotice } from "../parts/error-notice";
import { Loaded } from "../parts/loaded";
import { RelativeTime } from "../parts/relative-time";

const SCOPES = ["read", "write", "approve", "secrets", "admin"];

export function Tokens() {
  const data = createData<{ tokens: Token[] }>(() => `${API}/tokens`);
  const [created, setCreated] = createSignal("");
  return (
    <section>
      <h2>API tokens</h2>
      <Show when={created()}>
        {(token) => (
          <div class="notice is-good" role="status">
            <p class="notice-title">Copy the token now; it is not shown again.</p>
            <code class="command wrap">{token()}</code>
          </div>
        )}
      </Show>
      <Loaded data={data}>
        {(found) => (
          <Show
            when={found().tokens.length > 0}
            fallback={<Empty text="No tokens. Create one below, or on the machine that needs it:" command="danube login URL" />}
          >
            <ul class="cards">
              <For each={found().tokens}>{(one) => <TokenCard token={one} onRevoke={data.reload} />}</For>
            </ul>
          </Show>
        )}
      </Loaded>
      <TokenForm
        onCreate={(token) => {
          setCreated(token);
          data.reload();
        }}
      />
    </section>
  );
}

function TokenCard(props: { token: Token; onRevoke: () => void }) {
  async function revoke(): Promise<void> {
    await write("DELETE", `${API}/tokens/${props.token.id}`);
    props.onRevoke();
  }
  return (
    <li class="card">
      <div>
        <b>{props.token.name}</b> <For each={props.token.scopes}>{(scope) => <span class="chip">{scope}</span>}</For>
        <p class="quiet">
          Created <RelativeTime at={props.token.created_at} />, expires <RelativeTime at={props.token.expires_at} />,{" "}
          <Show when={props.token.used_at} fallback="never used">
            {(at) => (
              <>
                last used <RelativeTime at={at()} /> from {props.token.used_from}
              </>
            )}
          </Show>
        </p>
      </div>
      <Action kind="danger" confirm={`Clients that use ${props.token.name} are rejected from then on.`} act={revoke}>
        Revoke token
      </Action>
    </li>
  );
}

function TokenForm(props: { onCreate: (token: string) => void }) {
  const form = createForm(async (fields) => {
    const body = { name: String(fields.get("name")), scopes: fields.getAll("scopes").map(String), days: Number(fields.get("days")) };
    const answer = await write<{ token: string }>("POST", `${API}/tokens`, body);
    props.onCreate(answer.token);
  });
  return (
    <form class="form panel" onSubmit={(event) => void form.submit(event)}>
      <h3>Create a token</h3>
      <label>
        Name
        <input name="name" required maxlength={100} placeholder="laptop" autocomplete="off" />
      </label>
      <fieldset class="choices">
        <legend>Scopes</legend>
        <For each={SCOPES}>
          {(scope) => (
            <label>
              <input type="checkbox" name="scopes" value={scope} checked={scope === "read"} /> {scope}
            </label>
          )}
        </For>
      </fieldset>
      <label>
        Expires after (days)
        <input name="days" type="number" min={1} max={366} value={90} required />
      </label>
      <button type="submit" class="button is-primary" disabled={form.busy()}>
        Create token
      </button>
      <Show when={form.problem()}>{(problem) => <ErrorNotice problem={problem()} />}</Show>
    </form>
  );
}

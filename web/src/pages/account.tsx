/** The user's own account: teams, sessions, API tokens. */
import { For, Show } from "solid-js";
import { API, write } from "../api/client";
import { createData } from "../api/data";
import { logOut, me } from "../api/session";
import type { Me, Session } from "../api/types";
import { browserName } from "../kit/browser-name";
import { useTab } from "../parts/tab";
import { Action } from "../parts/action";
import { Empty } from "../parts/empty";
import { Loaded } from "../parts/loaded";
import { PageHead } from "../parts/page-head";
import { RelativeTime } from "../parts/relative-time";
import { Tokens } from "./account-tokens";

/** "Global administrator. Teams: core (admin)." */
function memberships(user: Pick<Me, "global_admin" | "teams"> | null | undefined): string {
  const teams = Object.entries(user?.teams ?? {}).map(([team, role]) => `${team} (${role})`);
  const admin = user?.global_admin ? "Global administrator. " : "";
  return `${admin}${teams.length > 0 ? `Teams: ${teams.join(", ")}.` : "Not a member of any team."}`;
}

export default function Account() {
  useTab(() => "My account");
  const isPerson = () => me()?.kind === "person";
  return (
    <div class="page">
      <PageHead title={me()?.name ?? ""} under={memberships(me())}>
        <Show when={isPerson()}>
          <Action act={logOut}>Log out</Action>
        </Show>
      </PageHead>
      <Show when={isPerson()} fallback={<Empty text="You are connected through the server's local socket, which has no sessions and no tokens." />}>
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
      <h2>Sessions</h2>
      <Loaded data={data}>
        {(found) => (
          <ul class="cards">
            <For each={found().sessions}>{(one) => <SessionCard session={one} onEnd={data.reload} />}</For>
          </ul>
        )}
      </Loaded>
    </section>
  );
}

function SessionCard(props: { session: Session; onEnd: () => void }) {
  async function end(): Promise<void> {
    await write("DELETE", `${API}/sessions/${props.session.id}`);
    props.onEnd();
  }
  return (
    <li class="card">
      <div>
        <b>{browserName(props.session.user_agent)}</b> from {props.session.address}
        <Show when={props.session.current}>
          {" "}
          <span class="chip">this session</span>
        </Show>
        <p class="quiet">
          Started <RelativeTime at={props.session.created_at} />, last used <RelativeTime at={props.session.seen_at} />, expires{" "}
          <RelativeTime at={props.session.expires_at} />
        </p>
      </div>
      <Show when={!props.session.current}>
        <Action act={end}>Log out session</Action>
      </Show>
    </li>
  );
}

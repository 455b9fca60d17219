/** The login page: password, or single sign-on at an OIDC issuer. */
import { useNavigate, useSearchParams } from "@solidjs/router";
import { createEffect, Show } from "solid-js";
import { write } from "../api/client";
import { createData } from "../api/data";
import { me, openSession } from "../api/session";
import type { Methods } from "../api/types";
import { localPath } from "../kit/web-address";
import { useTab } from "../parts/tab";
import { createForm } from "../parts/action";
import { ErrorNotice } from "../parts/error-notice";
import { Loaded } from "../parts/loaded";

export default function Login() {
  const [query] = useSearchParams<{ return_to?: string }>();
  const navigate = useNavigate();
  const methods = createData<Methods>(() => "/auth/methods");
  const back = () => localPath(query.return_to);
  useTab(() => "Log in");
  createEffect(() => {
    if (me()) navigate(back(), { replace: true });
  });
  const form = createForm(async (fields) => {
    await write("POST", "/auth/password", { email: fields.get("email"), password: fields.get("password") });
    await openSession();
  });
  return (
    <div class="login">
      <h1>Log in to Danube</h1>
      <Loaded data={methods}>
        {(found) => (
          <Show
            when={found().password}
            fallback={
              <a class="button is-primary is-wide" rel="external" href={`/auth/login?return_to=${encodeURIComponent(back())}`}>
                Log in with single sign-on
              </a>
            }
          >
            <form class="form" onSubmit={(event) => void form.submit(event)}>
              <label>
                E-mail address
                <input name="email" type="email" autocomplete="username" required autofocus />
              </label>
              <label>
                Password
                <input name="password" type="password" autocomplete="current-password" required />
              </label>
              <button type="submit" class="button is-primary is-wide" disabled={form.busy()}>
                Log in
              </button>
              <Show when={form.problem()}>{(problem) => <ErrorNotice problem={problem()} />}</Show>
            </form>
          </Show>
        )}
      </Loaded>
      <p class="quiet">
        Users and their passwords are configured in <code>users.yaml</code> in the configuration repository. The command line on
        the server itself needs no login.
      </p>
    </div>
  );
}

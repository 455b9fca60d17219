/** The user who is logged in. The page hides what the user may not do; enforcing it is the server's task. */
import { createSignal } from "solid-js";
import { onLoggedOut, whoami, write } from "./client";
import { startEvents, stopEvents } from "./events";
import type { Me } from "./types";

const [me, setMe] = createSignal<Me | null | undefined>(undefined);

/** null: logged out; undefined: not known yet. */
export { me };

/** Loads the session when the page opens. Throws ApiError when the server is unreachable. */
export async function openSession(): Promise<void> {
  onLoggedOut(() => {
    stopEvents();
    setMe(null);
  });
  const found = await whoami();
  setMe(found);
  if (found) startEvents();
}

/** Whether the user may perform a server-wide action. Permissions on a pipeline come with the pipeline. */
export function may(action: string): boolean {
  return me()?.may.includes(action) ?? false;
}

/** Whether the user may perform the action server-wide or on at least one pipeline. */
export function maySomewhere(action: string): boolean {
  return me()?.may_somewhere.includes(action) ?? false;
}

export async function logOut(): Promise<void> {
  await write("POST", "/auth/logout");
  stopEvents();
  setMe(null);
}

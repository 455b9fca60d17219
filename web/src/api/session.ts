/** Who is logged in. What one may not do is not shown; that it is refused too is the server's affair. */
import { createSignal } from "solid-js";
import { whenLoggedOut, whoami, write } from "./client";
import { startEvents, stopEvents } from "./events";
import type { Me } from "./types";

const [me, setMe] = createSignal<Me | null | undefined>(undefined);

/** null: nobody; undefined: not known yet. */
export { me };

/** Asked once when the page opens. Throws Refusal when the server cannot be reached. */
export async function openSession(): Promise<void> {
  whenLoggedOut(() => {
    stopEvents();
    setMe(null);
  });
  const found = await whoami();
  setMe(found);
  if (found) startEvents();
}

/** Whether the server lets them do it to itself; what they may with a pipeline comes with the pipeline. */
export function may(action: string): boolean {
  return me()?.may.includes(action) ?? false;
}

/** Whether they may do it with the server or with any pipeline at all. */
export function maySomewhere(action: string): boolean {
  return me()?.may_somewhere.includes(action) ?? false;
}

export async function logOut(): Promise<void> {
  await write("POST", "/auth/logout");
  stopEvents();
  setMe(null);
}

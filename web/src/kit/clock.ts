/** The page's clock, in a module of its own so that the functions on time stay pure. */
import { createSignal } from "solid-js";

const [now, setNow] = createSignal(Date.now());

/** The current time in Unix milliseconds. It ticks once a second while the page is visible. */
export { now };

setInterval(() => {
  if (document.visibilityState === "visible") setNow(Date.now());
}, 1000);

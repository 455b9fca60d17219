/** The page for an unknown path. */
import { A } from "@solidjs/router";
import { useTab } from "../parts/tab";
import { Empty } from "../parts/empty";

export default function NotFound() {
  useTab(() => "Not found");
  return (
    <div class="page">
      <h1>Page not found</h1>
      <Empty text="The address is wrong, or the page does not exist any more.">
        <A href="/">All pipelines</A>
      </Empty>
    </div>
  );
}

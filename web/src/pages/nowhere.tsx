/** A path that is none. */
import { A } from "@solidjs/router";
import { useTab } from "../kit/tab";
import { Empty } from "../parts/small";

export default function Nowhere() {
  useTab(() => "Not found");
  return (
    <div class="page">
      <h1>There is nothing here</h1>
      <Empty what="The address is wrong, or what it named is gone.">
        <A href="/">All pipelines</A>
      </Empty>
    </div>
  );
}

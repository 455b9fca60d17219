/** One pair of a list of facts (`<dl class="facts">`). */
import type { ParentProps } from "solid-js";

export function Fact(props: ParentProps<{ name: string }>) {
  return (
    <>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </>
  );
}

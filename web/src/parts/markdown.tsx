/** Markdown of untrusted programs as elements: their text becomes text nodes only, never HTML. */
import { For, Match, Switch } from "solid-js";
import { parseMarkdown, type Block, type Span } from "../kit/markdown";
import { ExternalLink } from "./links";

export function Markdown(props: { text: string }) {
  return (
    <div class="markdown">
      <For each={parseMarkdown(props.text)}>{(block) => <BlockOf block={block} />}</For>
    </div>
  );
}

function BlockOf(props: { block: Block }) {
  const as = <K extends Block["kind"]>(kind: K) => (props.block.kind === kind ? (props.block as Extract<Block, { kind: K }>) : undefined);
  return (
    <Switch>
      <Match when={as("heading")}>{(one) => <p class="markdown-heading"><Spans spans={one().spans} /></p>}</Match>
      <Match when={as("paragraph")}>{(one) => <p><Spans spans={one().spans} /></p>}</Match>
      <Match when={as("code")}>{(one) => <pre class="wrap">{one().text}</pre>}</Match>
      <Match when={as("list")}>{(one) => <ul><For each={one().items}>{(item) => <li><Spans spans={item} /></li>}</For></ul>}</Match>
      <Match when={as("table")}>
        {(one) => (
          <table>
            <thead><tr><For each={one().head}>{(cell) => <th><Spans spans={cell} /></th>}</For></tr></thead>
            <tbody>
              <For each={one().rows}>{(row) => <tr><For each={row}>{(cell) => <td><Spans spans={cell} /></td>}</For></tr>}</For>
            </tbody>
          </table>
        )}
      </Match>
    </Switch>
  );
}

function Spans(props: { spans: readonly Span[] }) {
  return (
    <For each={props.spans}>
      {(span) => (
        <Switch fallback={span.text}>
          <Match when={span.kind === "code"}><code class="wrap">{span.text}</code></Match>
          <Match when={span.kind === "strong"}><strong>{span.text}</strong></Match>
          <Match when={span.kind === "em"}><em>{span.text}</em></Match>
          <Match when={span.kind === "link" ? span.to : undefined}>{(to) => <ExternalLink to={to()}>{span.text}</ExternalLink>}</Match>
        </Switch>
      )}
    </For>
  );
}

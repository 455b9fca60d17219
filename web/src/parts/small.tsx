/** Small pieces that every page uses. */
import { Show, type JSX, type ParentProps } from "solid-js";
import type { Data } from "../api/data";
import { webAddress } from "../kit/forge";
import { exact, now, relative } from "../kit/time";
import { Refused } from "./refused";

/** "3min ago", with the exact moment on hover. */
export function Ago(props: { at: string }) {
  return (
    <time dateTime={props.at} title={exact(props.at)}>
      {relative(props.at, now())}
    </time>
  );
}

/** A command to type. */
export function Command(props: { text: string }) {
  return <code class="command">{props.text}</code>;
}

/** Nothing is there yet; the next thing to type. */
export function Empty(props: ParentProps<{ what: string; command?: string }>) {
  return (
    <div class="empty">
      <p>{props.what}</p>
      <Show when={props.command}>{(command) => <Command text={command()} />}</Show>
      {props.children}
    </div>
  );
}

/** What was loaded, or why not; nothing at all while it takes no time worth a word. */
export function Loaded<T>(props: { data: Data<T>; children: (value: () => NonNullable<T>) => JSX.Element }) {
  return (
    <>
      <Show when={props.data.problem()}>{(problem) => <Refused problem={problem()} onAgain={props.data.reload} />}</Show>
      <Show
        when={props.data.value()}
        fallback={
          <Show when={props.data.slow() && !props.data.problem()}>
            <p class="loading" role="status">
              Loading…
            </p>
          </Show>
        }
      >
        {(value) => props.children(value as () => NonNullable<T>)}
      </Show>
    </>
  );
}

/** A repository's address, as a link where it has a page. */
export function Address(props: { of: string }) {
  return (
    <Show when={webAddress(props.of)} fallback={<code class="wrap">{props.of}</code>}>
      {(href) => (
        <a href={href()} rel="external noreferrer" target="_blank">
          {props.of}
        </a>
      )}
    </Show>
  );
}

/** What stands at another's place, as a link where that is one: an address comes from strangers, and may be of any scheme. */
export function Outward(props: ParentProps<{ to: string }>) {
  return (
    <Show when={/^https?:\/\/[^\s]+$/.test(props.to)} fallback={props.children}>
      <a href={props.to} rel="external noreferrer" target="_blank">
        {props.children}
      </a>
    </Show>
  );
}

/** The head of a page. */
export function PageHead(props: ParentProps<{ title: JSX.Element; under?: JSX.Element }>) {
  return (
    <header class="page-head">
      <div class="page-title">
        <h1>{props.title}</h1>
        <Show when={props.under}>
          <p class="quiet">{props.under}</p>
        </Show>
      </div>
      <div class="page-actions">{props.children}</div>
    </header>
  );
}

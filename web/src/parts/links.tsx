/** Links to other sites. */
import { Show, type ParentProps } from "solid-js";
import { isWebUrl, webAddress } from "../kit/web-address";

/** Its content, as a link if `to` is an HTTP or HTTPS address. */
export function ExternalLink(props: ParentProps<{ to: string }>) {
  return (
    <Show when={isWebUrl(props.to)} fallback={props.children}>
      <a href={props.to} rel="external noreferrer" target="_blank">
        {props.children}
      </a>
    </Show>
  );
}

/** A repository's address, as a link if the repository has a web page. */
export function RepositoryLink(props: { address: string }) {
  return (
    <Show when={webAddress(props.address)} fallback={<code class="wrap">{props.address}</code>}>
      {(href) => (
        <a href={href()} rel="external noreferrer" target="_blank">
          {props.address}
        </a>
      )}
    </Show>
  );
}

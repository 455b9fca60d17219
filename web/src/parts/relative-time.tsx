/** "3min ago", with the exact time on hover. */
import { now } from "../kit/clock";
import { exact, relative } from "../kit/time";

export function RelativeTime(props: { at: string }) {
  return (
    <time dateTime={props.at} title={exact(props.at)}>
      {relative(props.at, now())}
    </time>
  );
}

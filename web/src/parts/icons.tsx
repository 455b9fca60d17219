/** Icons of buttons and of statuses. A status has a shape and a colour. */
import type { StepStatus } from "../api/types";

const SHAPES = {
  search: "M7 12.5a5.5 5.5 0 1 1 0-11 5.5 5.5 0 0 1 0 11zM11 11l3.5 3.5",
  up: "M3.5 10l4.5-4.5 4.5 4.5",
  down: "M3.5 6l4.5 4.5L12.5 6",
  right: "M6 3.5l4.5 4.5L6 12.5",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  download: "M8 2v8M4.5 7L8 10.5 11.5 7M3 13.5h10",
  branch: "M4.5 5v6M4.5 5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zm0 9a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zm7-7a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zm0 0c0 3-4 2-6.5 4",
  commit: "M8 10.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 8h4M10.5 8h4",
  person: "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 14c.5-3 2.7-4.5 5.5-4.5s5 1.5 5.5 4.5",
  clock: "M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM8 4.5V8l2.5 1.5",
  again: "M13.5 8A5.5 5.5 0 1 1 11.6 3.8M13.5 1.5v3.2h-3.2",
  stop: "M4 4h8v8H4z",
  play: "M4.5 2.5l9 5.5-9 5.5z",
  check: "M3 8.5l3.5 3.5L13 4.5",
  key: "M5 11.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 8.5h6.5M12 8.5V11",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
  moon: "M13.5 9.5A6 6 0 1 1 6.5 2.5a5 5 0 0 0 7 7z",
  system: "M2 3h12v8H2zM6 13.5h4M8 11v2.5",
  file: "M4 1.5h5l3 3v10H4zM9 1.5v3h3",
} as const;

export type IconName = keyof typeof SHAPES;

export function Icon(props: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={SHAPES[props.name]} />
    </svg>
  );
}

const STATUS_SHAPES: Record<StepStatus, string> = {
  pending: "",
  running: "M6.3 5.2l4.4 2.8-4.4 2.8z",
  success: "M4.8 8.2l2.2 2.3 4.2-4.8",
  restored: "M11 8A3 3 0 1 1 9.9 5.7M11 4.2v2h-2",
  failure: "M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8",
  cancelled: "M4.8 8h6.4",
  timeout: "M8 4.8V8l2 1.4",
};

export const STATUS_WORDS: Record<StepStatus, string> = {
  pending: "waiting",
  running: "running",
  success: "succeeded",
  restored: "restored",
  failure: "failed",
  cancelled: "cancelled",
  timeout: "timed out",
};

/** A disc with a shape, and its name for screen readers. `bare`: without the name, where it is shown beside the icon. */
export function StatusIcon(props: { status: StepStatus; bare?: boolean }) {
  return (
    <span class={`status-icon is-${props.status}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="6.75" />
        <path d={STATUS_SHAPES[props.status]} />
      </svg>
      {props.bare ? null : <span class="hidden">{STATUS_WORDS[props.status]}</span>}
    </span>
  );
}

/** Moments and durations as text. */

/** Seconds between two moments; up to `at` while there is no end, null while there is no begin. */
export function secondsBetween(begin: string | null, end: string | null, at: number): number | null {
  if (begin === null) return null;
  return Math.max(0, ((end === null ? at : Date.parse(end)) - Date.parse(begin)) / 1000);
}

/** "12 s", "3 min 20 s", "1 h 05 min". */
export function duration(seconds: number | null): string {
  if (seconds === null) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

const UNITS: [number, Intl.RelativeTimeFormatUnit][] = [
  [60, "second"],
  [60, "minute"],
  [24, "hour"],
  [7, "day"],
  [4.345, "week"],
  [12, "month"],
  [Number.POSITIVE_INFINITY, "year"],
];
const words = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "narrow" });

/** "3min ago", "in 2h". */
export function relative(moment: string, at: number): string {
  let amount = (Date.parse(moment) - at) / 1000;
  if (Math.abs(amount) < 5) return "just now";
  for (const [size, unit] of UNITS) {
    if (Math.abs(amount) < size) return words.format(Math.trunc(amount), unit);
    amount /= size;
  }
  return moment;
}

const exactly = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

/** Date, time and zone, in the browser's time zone. */
export function exact(moment: string): string {
  return exactly.format(new Date(moment));
}

/** "14:03:07.125" for Unix milliseconds, in the browser's time zone. */
export function timeOfDay(ms: number): string {
  const one = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(one.getHours())}:${two(one.getMinutes())}:${two(one.getSeconds())}.${String(one.getMilliseconds()).padStart(3, "0")}`;
}

/** The browser's name from its User-Agent header. */

/** Tokens of the header and the names they stand for. The order matters: Edge and Opera also send Chrome's and Safari's token. */
const BROWSERS: readonly (readonly [string, string])[] = [
  ["Firefox/", "Firefox"],
  ["Edg/", "Edge"],
  ["OPR/", "Opera"],
  ["Chrome/", "Chrome"],
  ["Safari/", "Safari"],
];

/** "Firefox on Linux"; the beginning of the header where it has no known name. */
export function browserName(agent: string): string {
  const name = BROWSERS.find(([token]) => agent.includes(token))?.[1] ?? agent.slice(0, 60);
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(agent)?.[1];
  return `${name}${system ? ` on ${system}` : ""}` || "Unknown browser";
}

/** A line's text as a terminal shows it: carriage returns and SGR colours are applied, other control sequences are removed. */
import Anser from "anser";

/** A piece of a line. `foreground` and `background`: colours without a CSS class. */
export interface Span {
  text: string;
  classes: string;
  foreground?: string;
  background?: string;
  match?: boolean;
}

/** The final state of a line that was redrawn with carriage returns. */
export function lastDrawn(raw: string): string {
  const line = raw.replace(/\r+$/, "");
  return line.slice(line.lastIndexOf("\r") + 1);
}

// OSC (titles, links), every CSI except SGR, two-character escapes, and control characters except tab, LF and ESC.
const INVISIBLE =
  /\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-ln-~]|\x1b(?!\[)[ -/]*[0-~]|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]/g;
const SGR = /\x1b\[[0-9;:]*m?/g;

/** The text without control sequences, as it is copied and searched. */
export function plain(text: string): string {
  return text.replace(INVISIBLE, "").replace(SGR, "");
}

const DECORATIONS: Record<string, string> = {
  bold: "ansi-bold",
  dim: "ansi-dim",
  italic: "ansi-italic",
  underline: "ansi-underline",
  strikethrough: "ansi-strike",
  reverse: "ansi-reverse",
  hidden: "ansi-hidden",
};

/** The spans of a line. Colours end with the line, so that a line looks the same wherever reading began. */
export function spans(text: string): Span[] {
  if (!text.includes("\x1b")) return [{ text: text.replace(INVISIBLE, ""), classes: "" }];
  return Anser.ansiToJson(text.replace(INVISIBLE, ""), { use_classes: true, remove_empty: true }).map(span);
}

function span(entry: Anser.AnserJsonEntry): Span {
  const classes: string[] = [];
  const made: Span = { text: entry.content, classes: "" };
  const foreground = colour(entry.fg as string | null, entry.fg_truecolor);
  const background = colour(entry.bg as string | null, entry.bg_truecolor);
  if (foreground?.startsWith("#") || foreground?.startsWith("rgb")) made.foreground = foreground;
  else if (foreground) classes.push(`${foreground}-fg`);
  if (background?.startsWith("#") || background?.startsWith("rgb")) made.background = background;
  else if (background) classes.push(`${background}-bg`);
  for (const one of entry.decorations ?? []) {
    const name = DECORATIONS[one];
    if (name) classes.push(name);
  }
  made.classes = classes.join(" ");
  return made;
}

function colour(name: string | null, truecolour: string | null): string | undefined {
  if (!name) return undefined;
  if (name === "ansi-truecolor") return `rgb(${truecolour ?? "128, 128, 128"})`;
  const palette = /^ansi-palette-(\d+)$/.exec(name);
  return palette ? paletteColour(Number(palette[1])) : name;
}

/** Colours 16 to 255 of xterm: a cube of 6 × 6 × 6, then 24 greys. */
export function paletteColour(number: number): string {
  if (number >= 232) {
    const grey = 8 + (number - 232) * 10;
    return `rgb(${grey}, ${grey}, ${grey})`;
  }
  const step = (value: number): number => (value === 0 ? 0 : 55 + value * 40);
  const at = Math.max(0, number - 16);
  return `rgb(${step(Math.floor(at / 36))}, ${step(Math.floor(at / 6) % 6)}, ${step(at % 6)})`;
}

/** The same spans, split at the matches of the words; the comparison ignores case. */
export function withMatches(given: Span[], words: string): Span[] {
  if (!words) return given;
  const whole = given.map((one) => one.text).join("");
  const starts = startsOf(whole.toLowerCase(), words.toLowerCase());
  if (starts.length === 0) return given;
  const found: Span[] = [];
  let at = 0;
  for (const one of given) {
    let begin = at;
    const end = at + one.text.length;
    for (const start of starts) {
      const from = Math.max(begin, start);
      const to = Math.min(end, start + words.length);
      if (from >= to) continue;
      if (from > begin) found.push({ ...one, text: whole.slice(begin, from) });
      found.push({ ...one, text: whole.slice(from, to), match: true });
      begin = to;
    }
    if (begin < end) found.push({ ...one, text: whole.slice(begin, end) });
    at = end;
  }
  return found;
}

function startsOf(text: string, words: string): number[] {
  const found: number[] = [];
  for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, at + words.length)) found.push(at);
  return found;
}

/** The width of the text in terminal cells, which decides where it wraps. */
export function cells(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let found = 0;
  for (const letter of plain(text)) {
    if (letter === "\t") found += 8 - (found % 8);
    else found += isWide(letter.codePointAt(0) ?? 0) ? 2 : 1;
  }
  return found;
}

function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    code >= 0x20000
  );
}

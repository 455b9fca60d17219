/** A part of Markdown as plain values: text of untrusted programs, of which nothing becomes HTML. Pure. */

export type Span = { kind: "text" | "code" | "strong" | "em"; text: string } | { kind: "link"; text: string; to: string };

export type Block =
  | { kind: "heading"; level: number; spans: Span[] }
  | { kind: "paragraph"; spans: Span[] }
  | { kind: "list"; ordered: boolean; items: Span[][] }
  | { kind: "code"; text: string }
  | { kind: "table"; head: Span[][]; rows: Span[][][] };

/** More is not read on a page; the answer of the API has the whole text. */
const MAX_BLOCKS = 1000;

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6}) +(.*)$/;
const ITEM = /^ {0,3}(?:[-*+]|(\d{1,9})[.)]) +(.*)$/;
const DIVIDER = /^[ |:-]+$/;
const MAX_HEADING = 500;

/** Headings, paragraphs, lists, fenced code and tables; what is none of them is a paragraph. */
export function parseMarkdown(text: string): Block[] {
  const lines = text.split(/\r?\n/);
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length && blocks.length < MAX_BLOCKS; ) {
    if ((lines[at] ?? "").trim() === "") {
      at += 1;
      continue;
    }
    const [block, next] = readCode(lines, at) ?? readHeading(lines, at) ?? readTable(lines, at) ?? readList(lines, at) ?? readParagraph(lines, at);
    blocks.push(block);
    at = next;
  }
  return blocks;
}

/** A block and the number of the line behind it. */
type Read = [Block, number];

function readCode(lines: readonly string[], at: number): Read | undefined {
  const fence = FENCE.exec(lines[at] ?? "")?.[1];
  if (fence === undefined) return undefined;
  let end = at + 1;
  while (end < lines.length && !(lines[end] ?? "").trim().startsWith(fence)) end += 1;
  return [{ kind: "code", text: lines.slice(at + 1, end).join("\n") }, end + 1];
}

function readHeading(lines: readonly string[], at: number): Read | undefined {
  const heading = HEADING.exec(lines[at] ?? "");
  if (heading === null) return undefined;
  const text = (heading[2] ?? "").slice(0, MAX_HEADING).replace(/ +#+ *$/, "");
  return [{ kind: "heading", level: (heading[1] ?? "#").length, spans: parseSpans(text) }, at + 1];
}

function readTable(lines: readonly string[], at: number): Read | undefined {
  const line = lines[at] ?? "";
  if (!line.includes("|") || !isDivider(lines[at + 1] ?? "")) return undefined;
  const rows: Span[][][] = [];
  let end = at + 2;
  for (; end < lines.length && (lines[end] ?? "").includes("|"); end += 1) rows.push(cells(lines[end] ?? ""));
  return [{ kind: "table", head: cells(line), rows }, end];
}

function readList(lines: readonly string[], at: number): Read | undefined {
  let item = ITEM.exec(lines[at] ?? "");
  if (item === null) return undefined;
  const ordered = item[1] !== undefined;
  const items: Span[][] = [];
  let end = at;
  for (; item !== null; item = ITEM.exec(lines[end] ?? "")) {
    items.push(parseSpans(item[2] ?? ""));
    end += 1;
  }
  return [{ kind: "list", ordered, items }, end];
}

function readParagraph(lines: readonly string[], at: number): Read {
  let end = at + 1;
  while (end < lines.length && isContinued(lines[end] ?? "")) end += 1;
  return [{ kind: "paragraph", spans: parseSpans(lines.slice(at, end).join(" ")) }, end];
}

function isDivider(line: string): boolean {
  return DIVIDER.test(line) && line.includes("-");
}

function isContinued(line: string): boolean {
  return line.trim() !== "" && !FENCE.test(line) && !HEADING.test(line) && !ITEM.test(line);
}

function cells(line: string): Span[][] {
  return line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => parseSpans(cell.trim()));
}

const SPAN = /`([^`\n]{1,2000})`|\*\*([^*\n]{1,2000})\*\*|\*([^*\s][^*\n]{0,2000})\*|\[([^\][\n]{1,500})\]\(([^()\s]{1,2000})\)/g;

/** Code, emphasis and links to web addresses; any other link is its text. */
export function parseSpans(text: string): Span[] {
  const spans: Span[] = [];
  let end = 0;
  const add = (span: Span) => {
    if (span.text !== "") spans.push(span);
  };
  for (const found of text.matchAll(SPAN)) {
    const [whole, code, strong, em, label, to] = found;
    add({ kind: "text", text: text.slice(end, found.index) });
    if (code !== undefined) add({ kind: "code", text: code });
    else if (strong !== undefined) add({ kind: "strong", text: strong });
    else if (em !== undefined) add({ kind: "em", text: em });
    else if (label !== undefined && to !== undefined && /^https?:\/\//.test(to)) add({ kind: "link", text: label, to });
    else add({ kind: "text", text: whole });
    end = found.index + whole.length;
  }
  add({ kind: "text", text: text.slice(end) });
  return spans;
}

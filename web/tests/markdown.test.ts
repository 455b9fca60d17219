import { expect, test } from "vitest";
import { parseMarkdown, parseSpans } from "../src/kit/markdown";

test("a summary is headings, lists, tables, code and paragraphs", () => {
  const text = "## Release 1.2 ##\n\n| file | size |\n|---|:-:|\n| a | **2** |\n\n- one\n- `two`\n\n1. first\n\n```js\n<b>\n```\nlast\nline";
  expect(parseMarkdown(text)).toEqual([
    { kind: "heading", level: 2, spans: [{ kind: "text", text: "Release 1.2" }] },
    { kind: "table", head: [[{ kind: "text", text: "file" }], [{ kind: "text", text: "size" }]], rows: [[[{ kind: "text", text: "a" }], [{ kind: "strong", text: "2" }]]] },
    { kind: "list", ordered: false, items: [[{ kind: "text", text: "one" }], [{ kind: "code", text: "two" }]] },
    { kind: "list", ordered: true, items: [[{ kind: "text", text: "first" }]] },
    { kind: "code", text: "<b>" },
    { kind: "paragraph", spans: [{ kind: "text", text: "last line" }] },
  ]);
});

test("only web addresses become links, and HTML stays text", () => {
  expect(parseSpans("[a](https://x.test/) [b](javascript:alert)")).toEqual([
    { kind: "link", text: "a", to: "https://x.test/" },
    { kind: "text", text: " " },
    { kind: "text", text: "[b](javascript:alert)" },
  ]);
  expect(parseSpans("<img src=x onerror=alert(1)>")).toEqual([{ kind: "text", text: "<img src=x onerror=alert(1)>" }]);
});

test("hostile text is read in linear time and to a bound", () => {
  for (const text of ["[".repeat(60_000), "*".repeat(60_000), "`a".repeat(30_000), "|".repeat(60_000), "# a\n".repeat(15_000), `# ${" ".repeat(60_000)}x`, `|\n${"-".repeat(60_000)}x`]) {
    expect(parseMarkdown(text).length).toBeLessThanOrEqual(1000);
  }
  expect(parseMarkdown("```\nnever closed").at(0)).toEqual({ kind: "code", text: "never closed" });
});

import { describe, expect, test } from "vitest";
import { cells, lastDrawn, paletteColour, plain, spans, withMatches } from "../src/log/text";

describe("a line as a terminal shows it", () => {
  test("of a progress bar the final state is shown", () => {
    expect(lastDrawn("10 %\r50 %\r100 %")).toBe("100 %");
    expect(lastDrawn("done\r")).toBe("done");
    expect(lastDrawn("plain")).toBe("plain");
  });

  test("colours and weights become classes", () => {
    expect(spans("\x1b[31mred\x1b[0m \x1b[1mbold\x1b[22m plain")).toEqual([
      { text: "red", classes: "ansi-red-fg" },
      { text: " ", classes: "" },
      { text: "bold", classes: "ansi-bold" },
      { text: " plain", classes: "" },
    ]);
  });

  test("colours without a class become values", () => {
    expect(spans("\x1b[38;5;196mx\x1b[0m")).toEqual([{ text: "x", classes: "", foreground: "rgb(255, 0, 0)" }]);
    expect(spans("\x1b[48;2;1;2;3mx")).toEqual([{ text: "x", classes: "", background: "rgb(1, 2, 3)" }]);
    expect(paletteColour(255)).toBe("rgb(238, 238, 238)");
  });

  test("sequences that move the cursor, name the window or ring the bell are removed", () => {
    expect(spans("\x1b[2K\x1b]0;title\x07a\x1b[1Ab\x07\x1b(Bc")).toEqual([{ text: "abc", classes: "" }]);
    expect(plain("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\ \x1b[1mx\x1b[0m")).toBe("link x");
  });

  test("markup is text", () => {
    expect(spans("<script>alert(1)</script>")).toEqual([{ text: "<script>alert(1)</script>", classes: "" }]);
    expect(spans("\x1b[31m<b>&amp;")).toEqual([{ text: "<b>&amp;", classes: "ansi-red-fg" }]);
  });

  test("matches are found across colours, whatever the case", () => {
    const found = withMatches(spans("a \x1b[31mFAI\x1b[0mled"), "failed");
    expect(found.filter((one) => one.match).map((one) => one.text)).toEqual(["FAI", "led"]);
    expect(found.map((one) => one.text).join("")).toBe("a FAIled");
    expect(withMatches(spans("nothing"), "x")).toEqual([{ text: "nothing", classes: "" }]);
  });

  test("cells of a terminal", () => {
    expect(cells("abc")).toBe(3);
    expect(cells("a\tb")).toBe(9);
    expect(cells("日本")).toBe(4);
    expect(cells("\x1b[31mab\x1b[0m")).toBe(2);
  });
});

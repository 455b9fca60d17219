import { describe, expect, test } from "vitest";
import { Backoff } from "../src/kit/backoff";
import { browserName } from "../src/kit/browser-name";
import { bytes, count } from "../src/kit/sizes";
import { duration, relative, secondsBetween, timeOfDay } from "../src/kit/time";

const at = Date.parse("2026-03-01T12:00:00Z");

describe("times", () => {
  test("between two moments count up to now while there is no end", () => {
    expect(secondsBetween("2026-03-01T11:59:00Z", "2026-03-01T11:59:30Z", at)).toBe(30);
    expect(secondsBetween("2026-03-01T11:59:00Z", null, at)).toBe(60);
    expect(secondsBetween(null, null, at)).toBeNull();
    expect(secondsBetween("2026-03-01T12:00:05Z", null, at)).toBe(0); // the server's clock is ahead
  });

  test("are as exact as their length needs", () => {
    expect([null, 0, 9.94, 10, 59.4, 60, 200, 3600, 3900].map(duration)).toEqual([
      "–", "0.0 s", "9.9 s", "10 s", "59 s", "1 min 00 s", "3 min 20 s", "1 h 00 min", "1 h 05 min",
    ]);
  });

  test("relative to now look back and ahead", () => {
    expect(relative("2026-03-01T11:59:58Z", at)).toBe("just now");
    expect(relative("2026-03-01T11:57:00Z", at)).toMatch(/^3\s?m(in)?\.? ago$/);
    expect(relative("2026-03-01T14:00:00Z", at)).toMatch(/^in 2\s?hr?\.?$/);
    expect(relative("2024-03-01T12:00:00Z", at)).toMatch(/^2\s?yr?\.? ago$/);
  });

  test("of a day have milliseconds", () => {
    expect(timeOfDay(new Date(2026, 0, 1, 4, 5, 6, 7).getTime())).toBe("04:05:06.007");
  });
});

describe("amounts", () => {
  test("of bytes have decimal units", () => {
    expect([null, 0, 999, 1000, 1440, 99_949, 123_456_789, 5e15].map(bytes)).toEqual([
      "–", "0 B", "999 B", "1.0 kB", "1.4 kB", "99.9 kB", "123 MB", "5000 TB",
    ]);
  });

  test("agree with their nouns", () => {
    expect([count(1, "job"), count(0, "job"), count(1204, "job"), count(2, "entry", "entries")]).toEqual(["1 job", "0 jobs", "1,204 jobs", "2 entries"]);
  });
});

test("backoff doubles up to its bound, with jitter, and starts over after a reset", () => {
  const backoff = new Backoff(500, 3000, () => 0.5);
  expect([backoff.next(), backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([500, 1000, 2000, 3000, 3000]);
  backoff.reset();
  expect(backoff.next()).toBe(500);
  expect(new Backoff(500, 3000, () => 0).next()).toBe(375);
});

test("a browser is named by its User-Agent", () => {
  expect(browserName("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")).toBe("Firefox on Linux");
  expect(browserName("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Edg/120.0")).toBe("Edge on Windows");
  expect(browserName("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) AppleWebKit/605 Version/17.0 Safari/605")).toBe("Safari on Mac OS X");
  expect([browserName("curl/8"), browserName("")]).toEqual(["curl/8", "Unknown browser"]);
});

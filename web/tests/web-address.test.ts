import { expect, test } from "vitest";
import { isWebUrl, localPath, webAddress } from "../src/kit/web-address";

test("a clone address has a web page, unless it is a directory or contains a password", () => {
  expect(webAddress("https://git.example.org/team/app.git")).toBe("https://git.example.org/team/app");
  expect(webAddress("git@git.example.org:team/app.git")).toBe("https://git.example.org/team/app");
  expect(webAddress("ssh://git@git.example.org:2222/team/app")).toBe("https://git.example.org/team/app");
  expect(webAddress("http://localhost:3000/team/app.git")).toBe("http://localhost:3000/team/app");
  expect(webAddress("/srv/repositories/app")).toBeUndefined();
  expect(webAddress("javascript:alert(1)")).toBeUndefined();
  expect(webAddress("https://user:password@git.example.org/app")).toBeUndefined();
});

test("only addresses of the web become links", () => {
  expect(["https://a.example/x#L1", "http://a.example"].map(isWebUrl)).toEqual([true, true]);
  expect(["javascript:alert(1)", "data:text/html,x", "//a.example", "", " https://a.example"].map(isWebUrl)).toEqual([false, false, false, false, false]);
});

test("a login returns to this server only", () => {
  expect(localPath("/jobs/1?step=2")).toBe("/jobs/1?step=2");
  expect([undefined, "", "//evil.example", "/\\evil.example", "https://evil.example", "jobs"].map(localPath)).toEqual(["/", "/", "/", "/", "/", "/"]);
});

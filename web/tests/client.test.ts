import { afterEach, describe, expect, test, vi } from "vitest";
import { ApiError, get, jobPath, onLoggedOut, secretsPath, send, withQuery, write } from "../src/api/client";

interface Sent {
  path: string;
  init: RequestInit;
}

/** Answers every request with the response; returns what was sent. */
function serve(response: () => Response): Sent[] {
  const sent: Sent[] = [];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    sent.push({ path, init });
    return response();
  });
  return sent;
}

const json = (body: unknown, status = 200): Response => new Response(JSON.stringify(body), { status });

afterEach(() => {
  vi.unstubAllGlobals();
  onLoggedOut(() => undefined);
});

describe("paths", () => {
  test("leave out empty and missing values, but not zero", () => {
    expect(withQuery("/jobs", { status: "", branch: undefined, cursor: null, all: false, limit: 0 })).toBe("/jobs?limit=0");
    expect(withQuery("/jobs", {})).toBe("/jobs");
    expect(withQuery("/jobs", { branch: "a&b c", removed: true })).toBe("/jobs?branch=a%26b+c&removed=true");
  });

  test("encode names", () => {
    expect(jobPath("a/b", "/log")).toBe("/api/v1/jobs/a%2Fb/log");
    expect(secretsPath("web site")).toBe("/api/v1/pipelines/web%20site/secrets");
  });

  test("of secrets are global ones for the empty name, and none before a choice", () => {
    expect([secretsPath(""), secretsPath(undefined)]).toEqual(["/api/v1/secrets", undefined]);
  });
});

describe("a failure", () => {
  test("carries the server's problem details", async () => {
    serve(() => json({ reference: "not-found", title: "there is no job x", detail: "cause", hint: "danube jobs" }, 404));
    const error = await get("/api/v1/jobs/x").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 404, reference: "not-found", message: "there is no job x", detail: "cause", hint: "danube jobs" });
  });

  test("without problem details names the HTTP status", async () => {
    serve(() => new Response("<html>", { status: 502 }));
    await expect(get("/api/v1/jobs")).rejects.toMatchObject({ status: 502, message: "The server responded with HTTP 502." });
  });

  test("of the network has status 0", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    await expect(get("/api/v1/jobs")).rejects.toMatchObject({ status: 0, reference: "unreachable" });
  });

  test("of an aborted request is the browser's own error", async () => {
    const controller = new AbortController();
    controller.abort();
    vi.stubGlobal("fetch", () => Promise.reject(new DOMException("aborted", "AbortError")));
    await expect(send("/api/v1/jobs", { signal: controller.signal })).rejects.toMatchObject({ name: "AbortError" });
  });

  test("with 401 logs out, but not for a login", async () => {
    let logouts = 0;
    onLoggedOut(() => logouts++);
    serve(() => json({}, 401));
    await get("/auth/methods").catch(() => undefined);
    expect(logouts).toBe(0);
    await get("/api/v1/jobs").catch(() => undefined);
    expect(logouts).toBe(1);
  });
});

describe("a write", () => {
  const headersOf = (sent: Sent | undefined): Record<string, string> => sent?.init.headers as Record<string, string>;

  test("by POST has a new idempotency key each time, other methods have none", async () => {
    const sent = serve(() => json({}));
    await write("POST", "/api/v1/jobs/x/cancel");
    await write("POST", "/api/v1/jobs/x/cancel");
    await write("DELETE", "/api/v1/tokens/x");
    const keys = sent.map((one) => headersOf(one)["idempotency-key"]);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(keys[1]).not.toBe(keys[0]);
    expect(keys[2]).toBeUndefined();
  });

  test("sends bytes as bytes and everything else as JSON", async () => {
    const sent = serve(() => json({}));
    await write("PUT", "/api/v1/secrets/X", new TextEncoder().encode("value"));
    await write("POST", "/api/v1/tokens", { name: "laptop" });
    expect(sent.map((one) => headersOf(one)["content-type"])).toEqual(["application/octet-stream", "application/json"]);
    expect(sent[1]?.init.body).toBe('{"name":"laptop"}');
  });

  test("without content returns undefined", async () => {
    serve(() => new Response(null, { status: 204 }));
    expect(await write("DELETE", "/api/v1/tokens/x")).toBeUndefined();
  });
});

import { createRoot, createSignal } from "solid-js";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createData, type Data } from "../src/api/data";

interface Request {
  path: string;
  signal: AbortSignal;
  answer: (body: unknown, status?: number) => Promise<void>;
}

describe("data of the API", () => {
  let requests: Request[] = [];
  let dispose: () => void = () => undefined;

  beforeEach(() => {
    vi.useFakeTimers();
    requests = [];
    vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
      return new Promise<Response>((resolve) => {
        const answer = async (body: unknown, status = 200): Promise<void> => {
          resolve(new Response(JSON.stringify(body), { status }));
          await vi.advanceTimersByTimeAsync(0);
        };
        requests.push({ path, signal: init.signal as AbortSignal, answer });
      });
    });
  });
  afterEach(() => {
    dispose();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  function dataOf(path: () => string | undefined): Data<{ amount: number }> {
    return createRoot((end) => {
      dispose = end;
      return createData<{ amount: number }>(path);
    });
  }

  test("are loaded at once; without a path nothing is loaded", async () => {
    const data = dataOf(() => "/a");
    expect(data.value()).toBeUndefined();
    await requests[0]?.answer({ amount: 1 });
    expect(data.value()).toEqual({ amount: 1 });
    dispose();
    dataOf(() => undefined);
    expect(requests).toHaveLength(1);
  });

  test("stay while the query changes, and go with the path", async () => {
    const [path, setPath] = createSignal("/a?page=1");
    const data = dataOf(path);
    await requests[0]?.answer({ amount: 1 });
    setPath("/a?page=2");
    expect(data.value()).toEqual({ amount: 1 });
    setPath("/b");
    expect(data.value()).toBeUndefined();
    expect(requests.map((one) => [one.path, one.signal.aborted])).toEqual([["/a?page=1", false], ["/a?page=2", true], ["/b", false]]);
  });

  test("include changes that were reported during the request", async () => {
    const data = dataOf(() => "/a");
    await requests[0]?.answer({ amount: 1 });
    data.reload();
    data.change((before) => ({ amount: before.amount + 10 }));
    expect(data.value()).toEqual({ amount: 11 });
    await requests[1]?.answer({ amount: 2 });
    expect(data.value()).toEqual({ amount: 12 });
  });

  test("are slow only after a delay, and not once they are loaded", async () => {
    const data = dataOf(() => "/a");
    await vi.advanceTimersByTimeAsync(150);
    expect(data.slow()).toBe(false);
    await vi.advanceTimersByTimeAsync(100);
    expect(data.slow()).toBe(true);
    await requests[0]?.answer({ amount: 1 });
    expect(data.slow()).toBe(false);
  });

  test("report an error, and load again on request", async () => {
    const data = dataOf(() => "/a");
    await requests[0]?.answer({ title: "broken" }, 500);
    expect(data.problem()?.message).toBe("broken");
    data.reload();
    await requests[1]?.answer({ amount: 3 });
    expect([data.problem(), data.value()]).toEqual([undefined, { amount: 3 }]);
  });

  test("are not loaded on once their component is gone", () => {
    dataOf(() => "/a");
    dispose();
    expect(requests[0]?.signal.aborted).toBe(true);
  });
});

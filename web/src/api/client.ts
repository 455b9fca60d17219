/**
 * Requests to the API. Whatever goes wrong becomes a `Refusal`, which carries the server's own words: what was refused, why,
 * and the hint that mends it.
 */
import type { Me, Problem } from "./types";

export const API = "/api/v1";

/** A refusal of the server, or of the network (status 0). */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly reference: string,
    what: string,
    readonly cause_: string,
    readonly hint: string,
    readonly findings: Problem["findings"] = [],
  ) {
    super(what);
  }
}

let csrfToken = "";
let onLoggedOut: () => void = () => undefined;

/** What to do when the server says that nobody is logged in. */
export function whenLoggedOut(act: () => void): void {
  onLoggedOut = act;
}

async function refusalOf(response: Response): Promise<Refusal> {
  const problem: Partial<Problem> = await response.json().catch(() => ({}));
  return new Refusal(
    response.status,
    problem.reference ?? "http-status",
    problem.title ?? `The server answered with status ${response.status}.`,
    problem.detail ?? "",
    problem.hint ?? "",
    problem.findings ?? [],
  );
}

/** The response of the server; throws Refusal. Aborting throws what the browser throws. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Refusal(0, "unreachable", "The server cannot be reached.", String(error), "It may be restarting; the page tries again.");
  }
  if (response.ok) return response;
  const refusal = await refusalOf(response);
  if (response.status === 401 && !path.startsWith("/auth/")) onLoggedOut();
  throw refusal;
}

/** JSON of a GET. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send(path, { signal: signal ?? null });
  return (await response.json()) as T;
}

/** A write. A second press of a button after a lost answer is the same wish, so a POST carries a key. */
export async function write<T>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { "x-csrf-token": csrfToken };
  if (method === "POST" && path.startsWith(API)) headers["idempotency-key"] = newKey();
  let data: BodyInit | null = null;
  if (body instanceof Uint8Array) {
    headers["content-type"] = "application/octet-stream";
    data = body as Uint8Array<ArrayBuffer>;
  } else if (body !== undefined) {
    headers["content-type"] = "application/json";
    data = JSON.stringify(body);
  }
  const response = await send(path, { method, headers, body: data });
  return (response.status === 204 ? undefined : await response.json()) as T;
}

function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Who is logged in; null for nobody. */
export async function whoami(): Promise<Me | null> {
  try {
    const me = await get<Me>(`${API}/me`);
    csrfToken = me.csrf_token;
    return me;
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) return null;
    throw error;
  }
}

/** A path with a query; empty and missing values are left out. */
export function withQuery(path: string, query: Record<string, string | number | boolean | null | undefined>): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "" && value !== false) words.set(name, String(value));
  }
  const text = words.toString();
  return text ? `${path}?${text}` : path;
}

export const jobPath = (id: string, rest = ""): string => `${API}/jobs/${encodeURIComponent(id)}${rest}`;
export const pipelinePath = (name: string, rest = ""): string => `${API}/pipelines/${encodeURIComponent(name)}${rest}`;

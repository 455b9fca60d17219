/** Requests to the API. Every failure becomes an `ApiError` with the server's own message: what failed, the cause, the hint. */
import type { Me, Problem } from "./types";

export const API = "/api/v1";

/** An error response of the server, or a failure of the network (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly reference: string,
    title: string,
    readonly detail: string,
    readonly hint: string,
    readonly findings: Problem["findings"] = [],
  ) {
    super(title);
  }
}

let csrfToken = "";
let loggedOutHandler: () => void = () => undefined;

/** Sets what is called when the server responds that the session is missing or expired. */
export function onLoggedOut(handler: () => void): void {
  loggedOutHandler = handler;
}

async function errorOf(response: Response): Promise<ApiError> {
  const problem: Partial<Problem> = await response.json().catch(() => ({}));
  return new ApiError(
    response.status,
    problem.reference ?? "http-status",
    problem.title ?? `The server responded with HTTP ${response.status}.`,
    problem.detail ?? "",
    problem.hint ?? "",
    problem.findings ?? [],
  );
}

/** The server's response. Throws ApiError; an abort throws the browser's AbortError. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "The server is unreachable.", String(error), "It may be restarting; the page retries.");
  }
  if (response.ok) return response;
  const error = await errorOf(response);
  if (response.status === 401 && !path.startsWith("/auth/")) loggedOutHandler();
  throw error;
}

/** JSON of a GET. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send(path, { signal: signal ?? null });
  return (await response.json()) as T;
}

/** A write. A POST carries an idempotency key, so that a retry after a lost response does not repeat the action. */
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

/** The user who is logged in; null without a session. */
export async function whoami(): Promise<Me | null> {
  try {
    const me = await get<Me>(`${API}/me`);
    csrfToken = me.csrf_token;
    return me;
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null;
    throw error;
  }
}

/** A path with a query string; empty and missing values are left out. */
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

/** The API path of a pipeline's secrets; "" stands for the global ones, undefined for no choice yet. */
export function secretsPath(pipeline: string | undefined): string | undefined {
  if (pipeline === undefined) return undefined;
  return pipeline ? pipelinePath(pipeline, "/secrets") : `${API}/secrets`;
}

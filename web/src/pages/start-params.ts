/** The parameters of a run from the fields of the start dialog. Pure. */
import type { Param } from "../api/types";

/** Parameters from lines of `NAME=VALUE`; other lines are ignored. */
export function parseParams(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) found[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return found;
}

/** The declared parameters from the form's fields. An empty field means the default, if there is one. */
export function declaredParams(fields: FormData, params: readonly Param[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const one of params) {
    const value = String(fields.get(`param-${one.name}`) ?? "");
    if (value !== "" || one.default === null) found[one.name] = value;
  }
  return found;
}

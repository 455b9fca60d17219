/** What the page says after a secret was set. */
import type { SecretStored } from "../api/types";

export interface SecretNotice {
  title: string;
  warnings: readonly string[];
}

export function noticeOf(key: string, stored: SecretStored): SecretNotice {
  const warnings = stored.warnings.map((one) => one.charAt(0).toUpperCase() + one.slice(1) + ".");
  return { title: `${key} is set${warnings.length > 0 ? ", but" : "."}`, warnings };
}

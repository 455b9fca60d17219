/** Tests of the pure parts: no browser, no components. Those are met in a real browser by tests/web. */
import { defineConfig } from "vitest/config";

export default defineConfig({ test: { environment: "node", include: ["tests/**/*.test.ts"] } });

/** Unit tests of pure functions and of signals, without a browser. Components are tested in a real browser by tests/web. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  // Node.js would choose Solid's build for servers, in which effects do not run.
  ssr: { resolve: { conditions: ["browser"] } },
  test: {
    environment: "node",
    include: ["tests/**/*.test.ts"],
    server: { deps: { inline: [/solid-js/] } },
  },
});

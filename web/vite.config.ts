/** The page's build, into `build/web`. All files but index.html have a hash of their content in their names. */
import { defineConfig } from "vite";
import solid from "vite-plugin-solid";

export default defineConfig({
  plugins: [solid()],
  build: {
    outDir: "../build/web",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the content security policy forbids inline scripts and styles
    modulePreload: { polyfill: false },
    rolldownOptions: { checks: { pluginTimings: false } }, // no report of how long plugins take
  },
  worker: { format: "es" },
});

/** How the page is built: to `build/web`, every file but index.html named by its content. */
import { defineConfig } from "vite";
import solid from "vite-plugin-solid";

export default defineConfig({
  plugins: [solid()],
  build: {
    outDir: "../build/web",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the content security policy has no room for scripts and styles inside of other files
    modulePreload: { polyfill: false },
    rolldownOptions: { checks: { pluginTimings: false } }, // how long plugins take is nobody's news
  },
  worker: { format: "es" },
});

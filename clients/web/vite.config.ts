import { defineConfig } from "vite";

// The built page is committed: names without hashes, so that a change is a change of the same files.
export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../gateway/spr_gateway/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    rolldownOptions: {
      output: {
        entryFileNames: "page.js",
        chunkFileNames: "[name].js",
        assetFileNames: "page[extname]",
        codeSplitting: false,
      },
    },
  },
  server: { proxy: Object.fromEntries(["/api", "/media", "/clip", "/thumb", "/strip", "/subs"].map((at) => [at, "http://127.0.0.1:7480"])) },
});

// Bundles the TypeScript of source/ into the folder named on the command line, and packs each file with gzip
// beside it, so that the server need not compress what never changes.
import { readdir, readFile, rm, writeFile, copyFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, constants } from "node:zlib";
import { build } from "esbuild";

const outdir = process.argv[2];
if (!outdir) throw new Error("usage: node bundle.mjs OUTPUT_FOLDER");

await rm(outdir, { recursive: true, force: true });
await build({
  entryPoints: ["source/page.ts", "source/map.ts", "source/chart.ts", "source/place.ts"],
  outdir,
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "linked",
  chunkNames: "part-[hash]",
  logLevel: "warning",
});
// The map draws in a worker. Its file must be served as it is: the content security policy lets no blob run.
await copyFile("node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs", join(outdir, "map-worker.js"));
const licence = await readFile("node_modules/maplibre-gl/LICENSE.txt");
await writeFile(join(outdir, "map-worker.js.LEGAL.txt"), licence);

for (const name of await readdir(outdir)) {
  if (!/\.(js|css)$/.test(name)) continue;
  const content = await readFile(join(outdir, name));
  await writeFile(join(outdir, `${name}.gz`), gzipSync(content, { level: constants.Z_BEST_COMPRESSION }));
}

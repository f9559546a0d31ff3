import type { Server } from "bun";
import { Elysia } from "elysia";
import { described } from "../http/described.ts";
import { signedIn } from "../http/signed_in.ts";
import { nullable } from "../schema.ts";
import { ExportRequest, ImportQuery, ImportReport } from "./schema.ts";
import type { Spool } from "./spool.ts";
import { streamOf } from "./stream.ts";

/** How long nothing may come from or go to a client; lifted while the work is done. */
const IDLE_SECONDS = 30;

// What reads and writes archives is loaded with the first of them: no start waits for it.
const exporter = () => import("./export.ts");
const importer = async () => ({ ...(await import("../http/upload.ts")), ...(await import("./import.ts")) });

/** `server` is there once the service listens. */
export const backupRoutes = (spool: Spool, server: () => Server<unknown> | null) =>
  new Elysia({ name: "backup", prefix: "/api/v1/backup", normalize: false })
    .use(signedIn)
    .post(
      "/export",
      async ({ caller, body, request }) => {
        const place = spool.take("export", JSON.stringify([caller.org, caller.sub]));
        try {
          const { exportMemories } = await exporter();
          server()?.timeout(request, 0);
          const file = await place.work(() => exportMemories(caller, body ?? {}, spool));
          server()?.timeout(request, IDLE_SECONDS);
          return new Response(streamOf(file, request.signal, place.release), {
            headers: {
              "content-type": "application/zip",
              "content-disposition": `attachment; filename="coding-brain-${new Date().toISOString().slice(0, 10)}.zip"`,
            },
          });
        } catch (error) {
          place.release();
          throw error;
        }
      },
      {
        body: nullable(ExportRequest), // may be left out
        detail: described({
          summary: "Everything the caller sees, or a part of it, as a zip archive",
          tags: ["backup"],
          "x-answer": "application/zip",
        }),
      },
    )
    .post(
      "/import",
      async ({ caller, query, request }) => {
        const place = spool.take("import", JSON.stringify([caller.org, caller.sub]));
        try {
          const { receiveFile, importArchive } = await importer();
          await using packed = await spool.file();
          await receiveFile(request, (bytes) => packed.write(bytes));
          server()?.timeout(request, 0);
          return await place.work(() => importArchive(caller, query, packed, spool));
        } finally {
          server()?.timeout(request, IDLE_SECONDS);
          place.release();
        }
      },
      {
        query: ImportQuery,
        response: { 200: ImportReport },
        detail: described({
          summary: "Store what an archive has: ours, the earlier system's, or mem0 OpenMemory's",
          tags: ["backup"],
          "x-upload": "A zip archive, at most 64 MB.",
        }),
      },
    );

import type { Database, Figures, Job } from "../db.ts";
import { problemFrom } from "../problem.ts";
import type { RecallQueue } from "../recalls/queue.ts";
import type { Begin } from "./pool.ts";

type Work = "sealAudit" | "claimJobs" | "openEmbeddingSpaces" | "failJob" | "writeRecalls" | "purge";

/**
 * The work that no caller asks for, and what is counted of it. It goes across orgs, so each piece is a function of the
 * database's (sql/) that may, called by itself in a transaction that nobody has entered.
 */
export function backgroundWork(
  begin: Begin,
  recalls: RecallQueue,
): Pick<Database, Work> & { figures(): Omit<Figures, "transactions" | "connections_max"> } {
  const counted = { sealed: 0, sealed_at: 0, recalls_written: 0, purged: 0, purged_at: 0 };
  return {
    sealAudit: (max_events) =>
      begin("", async (tx) => {
        const [row] = await tx<{ sealed: number }[]>`select app.seal_audit(${max_events}) as sealed`;
        counted.sealed += row?.sealed ?? 0;
        counted.sealed_at = Date.now() / 1000;
        return row?.sealed ?? 0;
      }),

    claimJobs: (max_jobs) =>
      begin(
        "",
        (tx) => tx<Job[]>`
        select org, id, kind, sub, access_entity, payload, attempts from app.claim_jobs(${max_jobs})`,
      ),

    openEmbeddingSpaces: (model, dimensions) =>
      begin("", async (tx) => {
        const [row] = await tx<{ opened: number }[]>`
          select app.open_embedding_spaces(${model}, ${dimensions}) as opened`;
        return row?.opened ?? 0;
      }),

    failJob: ({ org, id }, error) =>
      begin("", async (tx) => {
        await tx`select app.fail_job(${org}, ${id}, ${error})`;
      }),

    async writeRecalls() {
      const taken = recalls.take();
      if (taken.length === 0) return 0;
      try {
        await begin("", async (tx) => {
          await tx`select app.log_recalls(${JSON.stringify(taken)}::text::jsonb)`;
        });
      } catch (error) {
        if (problemFrom(error).code === "UNAVAILABLE") recalls.putBack(taken);
        else recalls.lose(taken); // the same again would fail again, and hold up what comes after
        throw error;
      }
      counted.recalls_written += taken.length;
      return taken.length;
    },

    purge: (max_rows) =>
      begin("", async (tx) => {
        const [row] = await tx<{ purged: number }[]>`select app.purge_expired(${max_rows}) as purged`;
        counted.purged += row?.purged ?? 0;
        counted.purged_at = Date.now() / 1000;
        return row?.purged ?? 0;
      }),

    figures: () => ({ ...counted, recalls_waiting: recalls.waiting, recalls_dropped: recalls.dropped }),
  };
}

import { type Row, row, type Thing } from "../access.ts";
import { ourArchive } from "../archives.ts";

/** An archive with the owner's memory in it, under its own id: for all but the team it is a memory that is not there. */
interface Archived extends Thing {
  readonly form: FormData;
}

export const rows: Record<string, Row> = {
  "POST /api/v1/backup/export": {
    status: 200,
    otherwise: 200,
    goes_on: true, // it reads
    call: () => ({ body: {} }),
    shows: ({ content }) => content,
  },
  // Everybody may import what they have in hand; only for the team is it the memory that is there.
  "POST /api/v1/backup/import": row<Archived>({
    status: 200,
    otherwise: 200,
    async make(ground) {
      const thing = await ground.memory();
      const form = new FormData();
      const archive = await ourArchive([{ id: thing.id, content: `taken over: ${thing.id}` }]);
      form.set("file", new File([archive], "archive.zip"));
      return { ...thing, form };
    },
    call: ({ form }) => ({ body: form, path: "/api/v1/backup/import?mode=overwrite" }),
    shows: () => '"updated":1',
  }),
};

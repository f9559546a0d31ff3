import { type Attempt, EVERYBODY, type Ground, PEOPLE, type Row, row, type Thing } from "../access.ts";
import { tokenFor } from "../world.ts";

const calling = ({ id }: Thing) => ({
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: { name: "get_memory", arguments: { memory_id: id } },
});

interface Session extends Thing {
  readonly session_id: string;
}

/** A stream of the owner's, and a memory. */
async function stream(ground: Ground): Promise<Session> {
  const response = await ground.world.app.handle(
    new Request("http://localhost/mcp/cursor/sse/me", {
      headers: { authorization: `Bearer ${await tokenFor(PEOPLE.owner)}` },
    }),
  );
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = (await reader?.read()) ?? {};
  const [session_id = ""] = /[\da-f]{32}/.exec(value) ?? [];
  return { ...(await ground.memory()), session_id, close: async () => void (await reader?.cancel()) };
}

/** Nobody but who opened a session has it; what is asked there is answered on the stream. */
const message = (path: string) =>
  row<Session>({
    status: 202,
    open_to: ["owner"],
    otherwise: 403,
    goes_on: true,
    make: stream,
    call: (session): Attempt => ({ path: `${path}?session_id=${session.session_id}`, body: calling(session) }),
  });

export const rows: Record<string, Row> = {
  // Refused within the answer: tests/mcp/tools.test.ts has the problems.
  "POST /mcp": {
    status: 200,
    otherwise: 200,
    goes_on: true, // what its tools write does not: tests/http/apps.test.ts
    call: (thing) => ({ body: calling(thing) }),
    shows: ({ content }) => content,
  },
  "GET /mcp/health": { status: 200, open_to: EVERYBODY, call: () => ({}) },
  "GET /.well-known/oauth-protected-resource": { status: 200, open_to: EVERYBODY, call: () => ({}) },
  "GET /.well-known/oauth-protected-resource/mcp": { status: 200, open_to: EVERYBODY, call: () => ({}) },
  "GET /mcp/:client/sse/:user": { status: 200, open_to: EVERYBODY, call: () => ({ path: "/mcp/cursor/sse/me" }) },
  "POST /mcp/messages": message("/mcp/messages"),
  "POST /mcp/:client/sse/:user/messages": message("/mcp/cursor/sse/me/messages"),
};

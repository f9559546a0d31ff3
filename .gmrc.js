// Settings of graphile-migrate for people. Its own DATABASE_URL means the owner and ours the service, hence the names.
const owner = process.env.OWNER_DATABASE_URL;
// Without it the tool would fall back to DATABASE_URL and migrate as the service.
if (!owner) throw new Error("OWNER_DATABASE_URL is not set. `bun brain env` prints what graphile-migrate needs.");

const shadow = new URL(owner);
shadow.pathname += "_shadow";

export default {
  connectionString: owner,
  shadowConnectionString: process.env.SHADOW_DATABASE_URL ?? shadow.href,
  rootConnectionString: process.env.ROOT_DATABASE_URL,
  afterReset: [{ _: "sql", file: "roles.sql", root: true }],
};

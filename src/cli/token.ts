import { type Command, InvalidArgumentError } from "commander";
import { decodeJwt } from "jose";
import { isSpaceName } from "../auth/grants.ts";
import { revokeToken } from "../auth/revocation.ts";
import { SCOPES, SCOPES_IN_USE } from "../auth/scopes.ts";
import { mintToken, tokenVerifier } from "../auth/tokens.ts";
import { type Config, loadConfig } from "../config.ts";
import { openEmbedded } from "../embedded/database.ts";
import { makeFolder } from "../embedded/place.ts";
import { loadSecrets } from "../embedded/secrets.ts";
import { Refusal } from "../refusal.ts";

interface TokenOptions {
  user: string;
  org: string;
  scopes: string[];
  grants: string[];
  days: number;
  json?: true;
}

/** Adds `brain token: mint and revoke` to the program. */
export function addToken(program: Command) {
  const token = program.command("token").description("make a token, or revoke one");
  token
    .command("mint", { isDefault: true })
    .description("make a token for a user of an org (what `brain token` does)")
    .requiredOption("--user <sub>", "whom it is for")
    .requiredOption("--org <org>", "the tenant it belongs to")
    .option("--scopes <scopes>", `what it may do, separated by blanks: ${SCOPES_IN_USE.join(" ")}`, scopes, [
      "memories:read",
    ])
    .option("--grants <spaces>", "shared spaces it opens, separated by blanks, such as project:acme/web", grants, [])
    .option("--days <days>", "how long it is valid", days, 30)
    .option("--json", "print {token, jti, expires_at}")
    .action(mint);
  token
    .command("revoke")
    .description("refuse a token from now on")
    .argument("<token>", "the token itself, or its jti together with --org")
    .option("--org <org>", "the org of a token given by its jti")
    .action(revoke);
}

async function mint({ user, org, scopes, grants, days, json }: TokenOptions) {
  const config = loadConfig();
  const settings = { ...config, jwt_secret: secretOf(config) };
  const { token, jti } = await mintToken(settings, { sub: user, org, scopes, grants, days });
  // What the door would refuse is refused here.
  const { expires_at } = await (await tokenVerifier(settings))(`Bearer ${token}`);
  const answer = { token, jti, expires_at: new Date(expires_at * 1000).toISOString() };
  console.log(json ? JSON.stringify(answer) : token);
}

async function revoke(given: string, { org }: { org?: string }) {
  const { owner_database_url, data_dir, jwt_max_lifetime_seconds } = loadConfig();
  const revocation =
    org === undefined ? fromToken(given) : { org, jti: given, expires_at: inSeconds(jwt_max_lifetime_seconds) };
  if (owner_database_url) await revokeToken(owner_database_url, revocation);
  else {
    const { server, owner_database_url } = await openEmbedded(data_dir, console.error);
    await revokeToken(owner_database_url, revocation).finally(() => server.stop());
  }
  console.log(`The token ${revocation.jti} of ${revocation.org} is revoked.`);
}

/** Read, not verified: whoever runs this owns the database, and an expired or foreign token does no harm on the list. */
function fromToken(token: string) {
  try {
    const { org_id, jti, exp } = decodeJwt<{ org_id?: unknown }>(token);
    if (typeof org_id === "string" && jti && exp)
      return { org: org_id, jti, expires_at: new Date(exp * 1000).toISOString() };
  } catch {} // told below
  throw new Refusal("usage", "That is not a token with org_id, jti and exp. Give its jti together with --org instead.");
}

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

/** What tokens are signed with; without JWT_SECRET_KEY the embedded one, made if need be. */
export function secretOf({ jwt_secret, data_dir }: Config): string {
  if (jwt_secret) return jwt_secret;
  makeFolder(data_dir);
  return loadSecrets(data_dir).jwt_secret;
}

const words = (text: string) => text.split(/\s+/).filter(Boolean);

function scopes(text: string): string[] {
  const unknown = words(text).filter((word) => !SCOPES.some((scope) => scope === word));
  if (unknown.length > 0) throw new InvalidArgumentError(`There is no scope ${unknown.join(", ")}.`);
  return words(text);
}

/** Names of shared spaces, separated by blanks. Throws for what is no such name, somebody's own space above all. */
export function grants(text: string): string[] {
  const unknown = words(text).filter((word) => word.startsWith("user:") || !isSpaceName(word));
  if (unknown.length > 0)
    throw new InvalidArgumentError(
      `${unknown.join(", ")} is not a space that can be granted: team:…, project:… or org:….`,
    );
  return words(text);
}

/** Throws for what is no number of days a token may have. */
export function days(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) < 1 || Number(text) > 3650)
    throw new InvalidArgumentError("From 1 to 3650 days.");
  return Number(text);
}

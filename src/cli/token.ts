import { type Command, InvalidArgumentError } from "commander";
import { isSpaceName } from "../auth/grants.ts";
import { SCOPES } from "../auth/scopes.ts";
import { mintToken, tokenVerifier } from "../auth/tokens.ts";
import { loadConfig } from "../config.ts";
import { makeFolder } from "../embedded/place.ts";
import { loadSecrets } from "../embedded/secrets.ts";

interface TokenOptions {
  user: string;
  org: string;
  scopes: string[];
  grants: string[];
  days: number;
  json?: true;
}

export function addToken(program: Command) {
  program
    .command("token")
    .description("make a token for a user of an org")
    .requiredOption("--user <sub>", "whom it is for")
    .requiredOption("--org <org>", "the tenant it belongs to")
    .option("--scopes <scopes>", `what it may do, separated by blanks: ${SCOPES.join(" ")}`, scopes, ["memories:read"])
    .option("--grants <spaces>", "shared spaces it opens, separated by blanks, such as project:acme/web", grants, [])
    .option("--days <days>", "how long it is valid", days, 30)
    .option("--json", "print {token, jti, expires_at}")
    .action(async ({ user, org, scopes, grants, days, json }: TokenOptions) => {
      const config = loadConfig();
      const settings = { ...config, jwt_secret: config.jwt_secret ?? embeddedSecret(config.data_dir) };
      const { token, jti } = await mintToken(settings, { sub: user, org, scopes, grants, days });
      // What the door would refuse is refused here.
      const { expires_at } = await tokenVerifier(settings)(`Bearer ${token}`);
      const answer = { token, jti, expires_at: new Date(expires_at * 1000).toISOString() };
      console.log(json ? JSON.stringify(answer) : token);
    });
}

function embeddedSecret(data_dir: string): string {
  makeFolder(data_dir);
  return loadSecrets(data_dir).jwt_secret;
}

const words = (text: string) => text.split(/\s+/).filter(Boolean);

function scopes(text: string): string[] {
  const unknown = words(text).filter((word) => !SCOPES.some((scope) => scope === word));
  if (unknown.length > 0) throw new InvalidArgumentError(`There is no scope ${unknown.join(", ")}.`);
  return words(text);
}

function grants(text: string): string[] {
  const unknown = words(text).filter((word) => word.startsWith("user:") || !isSpaceName(word));
  if (unknown.length > 0)
    throw new InvalidArgumentError(
      `${unknown.join(", ")} is not a space that can be granted: team:…, project:… or org:….`,
    );
  return words(text);
}

function days(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) < 1 || Number(text) > 3650)
    throw new InvalidArgumentError("From 1 to 3650 days.");
  return Number(text);
}

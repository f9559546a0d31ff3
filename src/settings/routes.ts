import { Elysia } from "elysia";
import { signedIn } from "../http/signed_in.ts";
import { Config, NewSettings, SettingsChanges } from "./schema.ts";
import { changeConfig, getConfig, replaceConfig, resetConfig } from "./service.ts";

const tags = ["config"];
const response = { 200: Config };

export const settingsRoutes = new Elysia({ name: "settings", prefix: "/api/v1/config", normalize: false })
  .use(signedIn)
  .get("", ({ caller }) => getConfig(caller), {
    response,
    detail: { summary: "The settings of one's org; of secrets the names", tags },
  })
  .put("", ({ caller, body }) => replaceConfig(caller, body), {
    body: NewSettings,
    response,
    detail: { summary: "Set all settings anew; what is left out has its default, and secrets stay", tags },
  })
  .patch("", ({ caller, body }) => changeConfig(caller, body), {
    body: SettingsChanges,
    response,
    detail: { summary: "Set the given settings; null brings back the default", tags },
  })
  .post("/reset", ({ caller }) => resetConfig(caller), {
    response,
    detail: { summary: "Bring all settings back to their defaults, and take the secrets away", tags },
  });

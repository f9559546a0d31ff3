import type { Command } from "commander";
import { ConfigError, loadConfig } from "../config.ts";
import { createLog } from "../log.ts";
import { untilStopped } from "./signals.ts";

/** Adds `brain serve` to the program. */
export function addServe(program: Command) {
  program
    .command("serve")
    .description("serve in production: no embedded database, no install, no migration")
    .addHelpText("after", "\nNeeds DATABASE_URL and JWT_SECRET_KEY.")
    .action(async () => {
      const config = loadConfig();
      if (!config.database_url || !config.jwt_secret)
        throw new ConfigError("serve needs DATABASE_URL and JWT_SECRET_KEY.");
      // Only here: whoever runs another command shall not wait for the whole service to be loaded.
      const { startService } = await import("../main.ts");
      const log = createLog(config.log_level);
      const stopped = untilStopped();
      const service = await startService(config, config.database_url, config.jwt_secret, log);
      log("info", "listening", { url: service.url });
      await stopped;
      await service.stop();
    });
}

import type { Ask } from "./world.ts";

export const get = (path: string): Ask => ({ method: "GET", path });
export const post = (path: string, body: unknown, headers: Record<string, string> = {}): Ask => ({
  method: "POST",
  path,
  body,
  headers,
});
export const query = (path: string, parameters: Record<string, string>) =>
  get(`${path}?${new URLSearchParams(parameters)}`);

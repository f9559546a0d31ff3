import { BlockList, isIP } from "node:net";

/** Whose word about other addresses counts: single ones and networks. */
export type TrustedProxies = BlockList;

/** Reads addresses and networks (`10.0.0.0/8`, `::1`), separated by commas; none by default. Throws an Error naming the one that is neither. */
export function trustedProxies(text = ""): TrustedProxies {
  const list = new BlockList();
  if (text === "") return list;
  for (const entry of text.split(",").map((part) => part.trim())) {
    const [address = "", bits, ...rest] = entry.split("/");
    const family = isIP(address);
    const most = family === 4 ? 32 : 128;
    const is_prefix = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
    if (family === 0 || !is_prefix || rest.length > 0)
      throw new Error(`must be addresses or networks, separated by commas; ${entry} is neither`);
    if (bits === undefined) list.addAddress(address, family === 4 ? "ipv4" : "ipv6");
    else list.addSubnet(address, Number(bits), family === 4 ? "ipv4" : "ipv6");
  }
  return list;
}

/**
 * Where a request comes from. Of `X-Forwarded-For` only what trusted proxies wrote counts: read from the right, the first
 * address that is not one of theirs. Whatever stands left of it the client may have made up.
 */
export function clientAddress(peer: string, forwarded_for: string | null, trusted: TrustedProxies): string {
  let address = plain(peer);
  for (const hop of (forwarded_for ?? "").split(",").reverse()) {
    if (!isTrusted(address, trusted)) break;
    const next = plain(hop.trim());
    if (isIP(next) === 0) break; // nothing a proxy would write
    address = next;
  }
  return address;
}

/** Whether an address is this machine's own. */
export const isLoopback = (address: string) => /^(127\.|::1$)/.test(plain(address));

const isTrusted = (address: string, trusted: TrustedProxies) => {
  const family = isIP(address);
  return family !== 0 && trusted.check(address, family === 4 ? "ipv4" : "ipv6");
};

/** Without brackets, a port or a zone; an IPv4 address within an IPv6 one as itself. */
function plain(text: string): string {
  const [, bracketed] = /^\[([^\]]+)\](?::\d+)?$/.exec(text) ?? [];
  const bare = (bracketed ?? text.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1")).replace(/%.*$/, "");
  return bare.toLowerCase().replace(/^::ffff:(\d+\.\d+\.\d+\.\d+)$/, "$1");
}

/** How a client's own channel behaves, and where it may lead. */

import { lookup } from "node:dns/promises";

import type { ChannelOptions } from "@grpc/grpc-js";

import { InvalidInput, Unavailable } from "./errors.js";

export const ADDRESS = "127.0.0.1:7400";
// A coordinator that stops or dies ends calls with these, of which its successor knows nothing: they are asked
// again. A coordinator's own refusals forbid that (grpc-retry-pushback-ms), so they are told at once.
const RETRY = {
  maxAttempts: 4,
  initialBackoff: "0.05s",
  maxBackoff: "1s",
  backoffMultiplier: 3,
  retryableStatusCodes: ["UNAVAILABLE", "CANCELLED"],
};
const OPTIONS: ChannelOptions = {
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  // The default back-off grows to two minutes: a restarted service would seem dead for as long.
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.service_config": JSON.stringify({
    methodConfig: [{ name: [{}], retryPolicy: RETRY }],
    // One coordinator at a time, each client another: it has the ranked lists of its page tokens.
    loadBalancingConfig: [{ pick_first: { shuffleAddressList: true } }],
  }),
};

/** Return one address, or several with commas between; InvalidInput unless each is HOST:PORT or one unix:PATH. */
export function checked(address: string | string[]): string {
  const several = Array.isArray(address) ? address : address.startsWith("unix:") ? [address] : address.split(",");
  const named = several.map((one) => one.trim());
  for (const one of named) {
    const port = Number(/^[^\s:/]+:(\d{1,5})$|^\[[0-9a-fA-F:.%]+\]:(\d{1,5})$/.exec(one)?.slice(1).join("") || 0);
    const local = one.startsWith("unix:") && named.length === 1;
    if (!local && !(port >= 1 && port <= 65535)) {
      const shown = JSON.stringify(one.slice(0, 80));
      throw new InvalidInput(`the address is ${shown}; write HOST:PORT, as in ${ADDRESS}`, "BAD_PARAMETER");
    }
  }
  if (!named.length) throw new InvalidInput(`there is no address; write HOST:PORT, as in ${ADDRESS}`, "BAD_PARAMETER");
  return named.join(",");
}

/**
 * Return what gRPC connects to for `checked` addresses, and the channel's options.
 *
 * gRPC takes one name, or several numbers of one family: several names are resolved here, to IPv4.
 */
export async function opened(address: string): Promise<[string, ChannelOptions]> {
  const several = address.split(",");
  if (several.length === 1 || address.startsWith("unix:")) return [address, OPTIONS];
  const found = await Promise.all(several.map(numbers));
  const all = [...new Set(found.flat())];
  if (!all.length) throw new Unavailable(`nothing answers at ${address} (no name of it can be resolved)`, "UNAVAILABLE");
  // gRPC would ask for one name of all together; all show the same certificate.
  return [`ipv4:${all.join(",")}`, { ...OPTIONS, "grpc.ssl_target_name_override": hostOf(several[0] ?? "") }];
}

async function numbers(address: string): Promise<string[]> {
  const port = address.slice(address.lastIndexOf(":") + 1);
  try {
    return (await lookup(hostOf(address), { all: true, family: 4 })).map((one) => `${one.address}:${port}`);
  } catch {
    return [];
  }
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}

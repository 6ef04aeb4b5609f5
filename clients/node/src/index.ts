export type { Tls, Token } from "./access.js";
export { Client, type ClientOptions } from "./client.js";
export * from "./errors.js";
export type * from "./types.js";

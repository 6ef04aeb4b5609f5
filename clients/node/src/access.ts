/** How a client shows who it is and whom it trusts: TLS and a token, given or from the environment. */

import { readFileSync, statSync } from "node:fs";
import { isIPv4 } from "node:net";

import { ChannelCredentials, Metadata, credentials } from "@grpc/grpc-js";

import { InvalidInput } from "./errors.js";

/**
 * Encryption of a client's channel. PEM files, read again when they change.
 *
 * authority: of those that the service's certificate is checked by; without it the public ones. certificate,
 * key: the client's own, where the service asks for one.
 */
export interface Tls {
  authority?: string;
  certificate?: string;
  key?: string;
}

/** A token, or the file that holds it. */
export type Token = string | { file: string };

/** Milliseconds between looks at files. */
const INTERVAL = 1000;
/** As SPR_CA: the public authorities. */
const SYSTEM = "system";

/** What a client shows to one address; InvalidInput where a file or the environment cannot be used. */
export class Access {
  readonly #credentials: Kept<ChannelCredentials>;
  readonly #token: Kept<string>;

  constructor(address: string, tls?: Tls, token?: Token) {
    const encrypted = tls ?? tlsOfEnvironment();
    const shown = token ?? tokenOfEnvironment();
    if (shown && !encrypted && !address.split(",").every(isLocal)) {
      const remedy = "give tls, or set SPR_CA to the service's authority.pem";
      throw new InvalidInput(`the token would travel to ${address} without encryption; ${remedy}`, "TOKEN_UNENCRYPTED");
    }
    if (encrypted && (encrypted.certificate === undefined) !== (encrypted.key === undefined)) {
      throw new InvalidInput("a certificate and its key go together; give both (SPR_CERT, SPR_KEY)", "BAD_PARAMETER");
    }
    const files = encrypted ? [encrypted.authority, encrypted.key, encrypted.certificate] : [];
    this.#credentials = new Kept(files, () => (encrypted ? readCredentials(files) : credentials.createInsecure()));
    const file = typeof shown === "object" ? shown.file : undefined;
    this.#token = new Kept([file], () => (shown ? bearer(file, shown) : ""));
  }

  /** What a channel is opened with; another object when its files have changed. */
  get credentials(): ChannelCredentials {
    return this.#credentials.value;
  }

  /** The metadata of a call. */
  get metadata(): Metadata {
    const metadata = new Metadata();
    if (this.#token.value) metadata.set("authorization", `Bearer ${this.#token.value}`);
    return metadata;
  }
}

/** What `read` makes of files, and makes again when they change; files that it refuses later change nothing. */
class Kept<T> {
  readonly #files: string[];
  #seen: string;
  #value: T;
  #again = Date.now() + INTERVAL;

  constructor(files: (string | undefined)[], private readonly read: () => T) {
    this.#files = files.filter((file) => file !== undefined);
    this.#seen = this.#signature();
    this.#value = read();
  }

  get value(): T {
    if (this.#files.length && Date.now() >= this.#again) {
      this.#again = Date.now() + INTERVAL;
      try {
        const found = this.#signature();
        if (found !== this.#seen) {
          this.#value = this.read();
          this.#seen = found;
        }
      } catch (error) {
        // Half written, perhaps: it is looked at again.
        if (!(error instanceof InvalidInput)) throw error;
      }
    }
    return this.#value;
  }

  #signature(): string {
    return this.#files
      .map((file) => readable(file, () => statSync(file)))
      .map((state) => `${state.mtimeMs} ${state.size} ${state.ino}`)
      .join();
  }
}

function readCredentials(files: (string | undefined)[]): ChannelCredentials {
  const pem = files.map((file) => (file === undefined ? null : readable(file, () => readFileSync(file))));
  try {
    return credentials.createSsl(...(pem as [Buffer | null, Buffer | null, Buffer | null]));
  } catch (error) {
    const named = files.filter((file) => file !== undefined).join(", ");
    throw new InvalidInput(`${named}: no PEM certificates, or a key that does not fit (${(error as Error).message})`);
  }
}

/** Return a token's words; the message never has them. */
function bearer(file: string | undefined, token: Token): string {
  const text = (file === undefined ? (token as string) : readable(file, () => readFileSync(file, "utf8"))).trim();
  if (!/^[!-~]+$/.test(text)) {
    const source = file ?? "the token";
    throw new InvalidInput(`${source} holds no token: one word of ASCII, as \`spr access token\` prints it`);
  }
  return text;
}

function readable<T>(file: string, look: () => T): T {
  try {
    return look();
  } catch (error) {
    throw new InvalidInput(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function tlsOfEnvironment(): Tls | undefined {
  const { SPR_CA: authority, SPR_CERT: certificate, SPR_KEY: key } = process.env;
  if (!authority && !certificate && !key) return undefined;
  return {
    authority: authority === SYSTEM ? undefined : authority || undefined,
    certificate: certificate || undefined,
    key: key || undefined,
  };
}

function tokenOfEnvironment(): Token | undefined {
  const { SPR_TOKEN: token, SPR_TOKEN_FILE: file } = process.env;
  return token || (file ? { file } : undefined);
}

function isLocal(address: string): boolean {
  const host = address.slice(0, address.lastIndexOf(":"));
  return address.startsWith("unix:") || host === "localhost" || host === "[::1]" || (isIPv4(host) && host.startsWith("127."));
}

/** Against a gRPC server in this process that refuses: retries, TLS, tokens. SPR_TEST_ACCESS: its certificates. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js";

import { RetryInfo } from "../src/generated/google/rpc/error_details.js";
import { Status } from "../src/generated/google/rpc/status.js";
import { SearchResponse, SearchServiceService } from "../src/generated/spr/v1/search_service.js";
import { Retries } from "../src/retrying.js";
import { Client, InvalidInput, Overloaded, Unauthenticated, Unavailable } from "../src/index.js";

const folder = process.env["SPR_TEST_ACCESS"] ?? "access";
const server = new Server();
let port = 0;
/** Calls still to be refused, seconds after which to come back, when calls came, the token of the last. */
let refusals = 0;
let pause = 0.05;
let times: number[] = [];
let token = "";

function refused(): Metadata {
  const retryDelay = { seconds: Math.floor(pause), nanos: (pause % 1) * 1e9 };
  const value = RetryInfo.encode({ retryDelay }).finish();
  const details = [{ typeUrl: "type.googleapis.com/google.rpc.RetryInfo", value: Buffer.from(value) }];
  const told = Status.encode({ code: status.RESOURCE_EXHAUSTED, message: "full", details }).finish();
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(told));
  metadata.set("grpc-retry-pushback-ms", "-1");
  return metadata;
}

/** Let a server listen with the certificate of a folder; return its port. */
function bound(by: Server, of: string): Promise<number> {
  const read = (name: string): Buffer => readFileSync(join(of, name));
  const pair = { private_key: read("fleet-key.pem"), cert_chain: read("fleet.pem") };
  const credentials = ServerCredentials.createSsl(read("authority.pem"), [pair], false);
  return new Promise((resolve, reject) => {
    by.bindAsync("127.0.0.1:0", credentials, (error, found) => (error ? reject(error) : resolve(found)));
  });
}

before(async () => {
  server.addService(SearchServiceService, {
    search(call: { metadata: Metadata }, done: (error: object | null, reply?: SearchResponse) => void) {
      times.push(performance.now());
      token = String(call.metadata.get("authorization")[0] ?? "");
      if (refusals-- > 0) {
        done({ code: status.RESOURCE_EXHAUSTED, details: "full", metadata: refused() });
      } else done(null, SearchResponse.create());
    },
  });
  port = await bound(server, folder);
});
after(() => server.forceShutdown());

function made(options: object = {}): Client {
  [refusals, pause, times] = [0, 0.05, []];
  return new Client(`127.0.0.1:${port}`, { tls: { authority: join(folder, "authority.pem") }, ...options });
}

test("a refused call is asked again after the seconds that the server names", async () => {
  const client = made();
  refusals = 2;
  await client.search("a");
  assert.equal(times.length, 3);
  assert.ok(times[1]! - times[0]! >= 45 && times[2]! - times[1]! >= 45);
  client.close();
});

test("retries end with their number, and where the timeout would pass", async () => {
  for (const [retries, after, calls] of [[1, 0.05, 2], [0, 0.05, 1], [3, 100, 1]] as const) {
    const client = made({ retries });
    refusals = 9;
    pause = after;
    await assert.rejects(client.search("a", { timeout: 60 }), (error) => {
      assert.ok(error instanceof Overloaded && error.retryAfter === after, String(error));
      return true;
    });
    assert.equal(times.length, calls);
    client.close();
  }
});

test("a budget keeps retries from being most of the load", async () => {
  const client = made({ retries: 100 });
  refusals = 1000;
  pause = 0.001;
  await assert.rejects(client.search("a", { timeout: 60 }), Overloaded);
  assert.equal(times.length, 11);
  client.close();
});

test("one that answered and is gone is asked again, one that never answered is not", async () => {
  const away = new Unavailable("nobody", "UNAVAILABLE", "", 1);
  const retries = new Retries(1);
  let [calls, failing] = [0, 1];
  const call = async (): Promise<string> => {
    calls += 1;
    if (failing-- > 0) throw away;
    return "answer";
  };
  await assert.rejects(retries.run(60, call), Unavailable);
  assert.equal(calls, 1);
  assert.equal(await retries.run(60, call), "answer");
  failing = 1;
  assert.equal(await retries.run(60, call), "answer");
  assert.equal(calls, 4);
  // One that has no time to wait has not waited in vain.
  failing = 1;
  await assert.rejects(retries.run(0.1, call), Unavailable);
  // It has waited in vain: the next call does not.
  failing = 3;
  await assert.rejects(retries.run(60, call), Unavailable);
  assert.equal(calls, 7);
  await assert.rejects(retries.run(60, call), Unavailable);
  assert.equal(calls, 8);
  // A refusal is an answer.
  const refusal = new InvalidInput("wrong", "WRONG", "", undefined, true);
  await assert.rejects(retries.run(60, () => Promise.reject(refusal)), InvalidInput);
  failing = 1;
  assert.equal(await retries.run(60, call), "answer");
});

test("a token goes with every call, read again when its file changes", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "spr-")), "token");
  writeFileSync(file, "first\n");
  const client = made({ token: { file } });
  await client.search("a");
  assert.equal(token, "Bearer first");
  writeFileSync(file, "second-longer\n");
  for (let tries = 0; token === "Bearer first" && tries < 100; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    await client.search("a");
  }
  assert.equal(token, "Bearer second-longer");
  client.close();
});

test("a token is not sent without encryption, nor a half of a certificate", () => {
  assert.throws(() => new Client("192.0.2.1:7400", { token: "secret" }), (error) => {
    assert.ok(error instanceof InvalidInput && error.reason === "TOKEN_UNENCRYPTED" && !error.message.includes("secret"));
    return true;
  });
  assert.throws(() => new Client("127.0.0.1:7400", { tls: { key: "k.pem" } }), /go together/);
  assert.throws(() => new Client("127.0.0.1:7400", { tls: { authority: "none.pem" } }), /none.pem cannot be read/);
  assert.throws(() => new Client("127.0.0.1:7400", { token: "two words" }), /holds no token/);
  for (const wrong of ["localhost", "a:0", "a:99999", "http://a:1", ""]) {
    assert.throws(() => new Client(wrong), /write HOST:PORT/);
  }
});

test("a service that wants TLS is told from one that is away", async () => {
  const client = new Client(`127.0.0.1:${port}`, { retries: 0 });
  await assert.rejects(client.search("a"), /set SPR_CA if it wants TLS/);
  client.close();
  const gone = new Client("127.0.0.1:1", { retries: 0 });
  await assert.rejects(gone.search("a"), /nothing answers at 127.0.0.1:1 \(connect ECONNREFUSED 127.0.0.1:1\)/);
  gone.close();
});

test("names that cannot be resolved are told, and closing such a client is no fault", async () => {
  const lost = new Client(["none-such.invalid:1", "nor-this.invalid:1"], { retries: 0 });
  const asked = lost.search("a");
  lost.close();
  await assert.rejects(asked, Unavailable);
});

test("calls go on while a certificate is replaced", async () => {
  const copy = join(mkdtempSync(join(tmpdir(), "spr-")), "authority.pem");
  const pem = readFileSync(join(folder, "authority.pem"));
  writeFileSync(copy, pem);
  const client = made({ tls: { authority: copy } });
  await client.search("a");
  const changed = setTimeout(() => writeFileSync(copy, `${pem}\n`), 300);
  for (const ends = Date.now() + 1800; Date.now() < ends; ) {
    await Promise.all([client.search("a"), client.search("a"), new Promise((resolve) => setTimeout(resolve, 20))]);
  }
  clearTimeout(changed);
  client.close();
});

test("a service that another authority vouches for is not trusted", async () => {
  const client = made({ tls: {} });
  await assert.rejects(client.search("a"), (error) => {
    assert.ok(error instanceof Unauthenticated && error.reason === "TLS_FAILED", String(error));
    return true;
  });
  client.close();
});

test("a certificate out of its time is told from another authority's", async () => {
  for (const [name, said] of [["ended", /has ended, or this clock is ahead/], ["early", /is not valid yet/]] as const) {
    const [other, of] = [new Server(), join(folder, name)];
    const address = `127.0.0.1:${await bound(other, of)}`;
    const client = new Client(address, { tls: { authority: join(of, "authority.pem") } });
    await assert.rejects(client.search("a"), (error) => {
      assert.ok(error instanceof Unauthenticated && said.test(error.message), String(error));
      return true;
    }).finally(() => (client.close(), other.forceShutdown()));
  }
});

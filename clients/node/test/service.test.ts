/** Against a real service: SPR_TEST_ADDRESS, of a collection of at least two videos; SPR_TEST_TEXT finds some. */

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Client, DeadlineExceeded, InvalidInput, NotFound, SearchError, Unavailable, type SearchResult } from "../src/index.js";

const address = process.env["SPR_TEST_ADDRESS"] ?? "127.0.0.1:7400";
const text = process.env["SPR_TEST_TEXT"] ?? "a red ball bounces";
const timeout = 60;
const client = new Client(address);
after(() => client.close());

test("a search returns ranked moments of the whole collection, in seconds", async () => {
  const result = await client.search(text, { timeout, requestId: "from-node" });
  assert.equal(result.requestId, "from-node");
  assert.equal(result.coverage.ratio, 1);
  assert.ok(result.refined && result.ranker && result.version && result.timings["encode"]! > 0);
  const spans = new Map<string, number>();
  for await (const video of client.videos({ timeout })) spans.set(video.id, video.duration);
  result.moments.forEach((moment, index) => {
    assert.equal(moment.rank, index + 1);
    assert.ok(0 <= moment.start && moment.start < moment.end && moment.end <= spans.get(moment.video)! + 1e-6);
  });
});

test("pages together are the list, each moment once", async () => {
  const whole = await client.search(text, { timeout, pageSize: 100 });
  const pages: SearchResult[] = [];
  for await (const page of client.pages(text, { timeout, pageSize: 2 })) pages.push(page);
  assert.ok(pages.length > 1);
  assert.deepEqual(pages.flatMap((page) => page.moments).slice(0, 100), whole.moments);
});

test("a progressive search yields the coarse answer, then the refined one", async () => {
  const stages: boolean[] = [];
  for await (const result of client.searchProgressive(text, { timeout })) stages.push(result.refined);
  assert.deepEqual(stages, [false, true]);
  for await (const _ of client.searchProgressive(text, { timeout })) break;
});

test("videos are listed page by page, and filters hold", async () => {
  const all = [];
  for await (const video of client.videos({ timeout, pageSize: 1 })) all.push(video);
  assert.ok(all.length > 1 && all.every((video) => video.duration > 0 && video.added instanceof Date));
  const wanted = all[0]!.id;
  const filter = { videos: [wanted], start: 0.5, end: 1e6 };
  const { moments, videosAllowed } = await client.search(text, { timeout, filter });
  assert.equal(videosAllowed, 1);
  assert.ok(moments.length && moments.every((moment) => moment.video === wanted && moment.start >= 0.5));
  const best = await client.search(text, { timeout, perVideo: 1 });
  assert.equal(new Set(best.moments.map((moment) => moment.video)).size, best.moments.length);
});

test("where it is sought can be chosen, and what it was found by is told", async () => {
  const { moments } = await client.search(text, { timeout, channels: ["seen"] });
  assert.ok(moments.length && moments.every(({ foundBy }) => foundBy.every(({ channel }) => channel === "seen")));
  const shown = moments.filter(({ refined }) => refined);
  assert.ok(shown.length && shown.every(({ best = NaN, start, end }) => best >= start && best < end));
  const heard = await client.search(text, { timeout, channels: ["said", "written"] });
  for (const { line } of heard.moments.flatMap(({ foundBy }) => foundBy)) {
    assert.ok(line && line.start < line.end && line.pieces.every((piece) => typeof piece.matched === "boolean"));
  }
  await assert.rejects(client.search(text, { timeout, channels: ["smelt" as "seen"] }), InvalidInput);
});

test("what plain JavaScript would leave out is refused by name", async () => {
  const cases: [object, string][] = [
    [{ collection: "c" }, 'options has "collection"; it may have pageSize'],
    [{ filter: { label: ["news"] } }, 'filter has "label"; it may have videos, labels'],
    [{ filter: { labels: "news" } }, 'labels is "news"; give a list'],
    [{ channels: "said" }, 'channels is "said"; give a list'],
    [{ rerank: "no" }, 'rerank is "no"; give a boolean'],
    [{ nmsIou: "half" }, 'nmsIou is "half"; give a number'],
    [{ filter: { after: "2026-01-01" } }, 'after is "2026-01-01"; give a Date'],
    [{ filter: { before: new Date("nonsense") } }, "before is null; give a Date"],
  ];
  for (const [options, said] of cases) {
    const refused = (error: unknown): boolean => error instanceof InvalidInput && error.message.startsWith(said);
    await assert.rejects(client.search(text, options), refused, said);
  }
  await assert.rejects(client.videos({ label: ["news"] } as object).next(), InvalidInput);
});

test("a batch has an answer or an error for each query", async () => {
  const [answer, refused] = await client.searchBatch([text, ""], { timeout });
  assert.ok(answer && !(answer instanceof Error) && answer.moments.length);
  assert.ok(refused instanceof InvalidInput && refused.reason === "QUERY_EMPTY");
  const mixed = await client.searchBatch([7 as unknown as string, text, ""], { timeout });
  assert.deepEqual(mixed.map((one) => one instanceof InvalidInput), [true, false, true]);
  await assert.rejects(client.searchBatch(text as unknown as string[], { timeout }), InvalidInput);
});

test("no timeout ends the process, and dates before 1970 have no negative rest", async () => {
  for (const long of [1e9, 1e12, Number.MAX_VALUE]) assert.ok((await client.search(text, { timeout: long })).total);
  assert.ok((await client.search(text, { timeout, filter: { after: new Date(-1500) } })).total);
});

test("a vector may be a typed array", async () => {
  const { embeddingModel: model } = await client.search(text, { timeout });
  const [short, long] = [1, 3].map((size) => ({ vector: new Float32Array(size).fill(1), model }));
  await assert.rejects(client.search(short!, { timeout }), /has shape \[1\]/);
  await assert.rejects(client.search(long!, { timeout }), /has shape \[3\]/);
  const [odd, view] = [[0.5, 1n], new DataView(new ArrayBuffer(4))].map((vector) => ({ vector: vector as never, model }));
  const [refused, other, answered] = await client.searchBatch([odd!, view!, text], { timeout });
  assert.ok(refused instanceof InvalidInput && /has a bigint at 1; give numbers/.test(refused.message));
  assert.ok(other instanceof InvalidInput && /neither a sentence nor an Embedding/.test(other.message));
  assert.ok(answered && !(answered instanceof Error) && answered.moments.length);
});

test("errors have their kind, the server's sentence and its reason", async () => {
  await assert.rejects(client.search("", { timeout }), (error) => {
    assert.ok(error instanceof InvalidInput && error instanceof SearchError);
    assert.deepEqual([error.name, error.reason, error.refused], ["InvalidInput", "QUERY_EMPTY", true]);
    return true;
  });
  const other = new Client(address, { collection: "none-such" });
  await assert.rejects(other.search(text, { timeout }), NotFound);
  other.close();
  await assert.rejects(client.search(text, { timeout: 1e-6 }), DeadlineExceeded);
  const vector = { vector: [1, 0], model: "none-such" };
  await assert.rejects(client.search(vector, { timeout }), SearchError);
});

test("a call ends when its signal is aborted", async () => {
  await assert.rejects(client.search(text, { signal: AbortSignal.abort(new Error("enough")) }), /enough/);
  const stream = client.searchProgressive(text, { signal: AbortSignal.abort(new Error("enough")) });
  await assert.rejects(stream.next(), /enough/);
});

test("of several addresses one that answers is asked; alone, one that does not is Unavailable", async () => {
  const both = new Client(["127.0.0.1:1", address.replace("127.0.0.1", "localhost")]);
  assert.ok((await both.search(text, { timeout })).moments.length);
  both.close();
  const gone = new Client("127.0.0.1:1", { retries: 0 });
  await assert.rejects(gone.search(text, { timeout }), (error) => {
    assert.ok(error instanceof Unavailable && !error.refused && error.message.includes("127.0.0.1:1"));
    return true;
  });
  gone.close();
});

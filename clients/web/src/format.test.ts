import { expect, test } from "vitest";
import { lines } from "./api";
import { clock, length, moved, seconds, title } from "./format";
import { NOWHERE, read, readSpan, spanOf, write } from "./place";
import { around, extent, matched, path, place, share } from "./timeline";

test("times", () => {
  expect([clock(0), clock(59.6), clock(61), clock(3600), clock(12.34, true)]).toEqual(["0:00", "1:00", "1:01", "1:00:00", "0:12.3"]);
  expect([length(4), length(3.52), length(31.4), length(130)]).toEqual(["4 s", "3.5 s", "31 s", "2 min"]);
  expect([moved(4, 4.01), moved(4, 6.5), moved(6, 4)]).toEqual(["unmoved", "+2.5 s", "−2 s"]);
  expect(title("a/b/c")).toEqual({ name: "c", folder: "a/b" });
});

test("an address leads to the same place", () => {
  const here = {
    ...NOWHERE, q: "a red ball", then: ["it stops", "it falls, far"], within: "4", not: ["at night"], img: ["a1"], like: ["a@b@3.25-9"],
    literal: ["after 10:00"], id: ["v&w"], label: ["red", "a, b"], nolabel: ["x"], folder: "news/2024", after: "2024-01-02", from: "50%",
    group: "1", pervideo: "2", collection: "x", video: "a/b c", start: 3.25, end: 9,
  };
  expect(read(write(here))).toEqual(here);
  expect(read("?q=x&v=y&at=9-3").video).toBe("");
  expect(read("?q=x&v=y&at=evil").video).toBe("");
});

test("spans and times are read as they are written", () => {
  expect(readSpan(spanOf({ video: "a@b-c", start: 1.5, end: 10 }))).toEqual({ video: "a@b-c", start: 1.5, end: 10 });
  expect([seconds("1:30"), seconds("1:02:03"), seconds(" 7.5 "), seconds(""), seconds("soon")]).toEqual(["90", "3723", "7.5", "", null]);
  expect([seconds("50%"), seconds("50%", true), seconds("150%", true)]).toEqual([null, "50%", null]);
});

test("lines come as they are complete, also cut within a character", async () => {
  const bytes = new TextEncoder().encode('{"a":"é"}\n{"b":1}\n{"c":2}');
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let n = 0; n < bytes.length; n += 7) controller.enqueue(bytes.slice(n, n + 7));
      controller.close();
    },
  });
  const found = [];
  for await (const line of lines(body)) found.push(line);
  expect(found).toEqual(['{"a":"é"}', '{"b":1}', '{"c":2}']);
});

test("a window holds the spans and stays in the video", () => {
  expect(around([[2, 6], [4, 10]], 100)).toEqual({ from: 0, to: 22 });
  expect(share(5, { from: 0, to: 10 })).toBe(0.5);
  expect(place(20, 30, { from: 0, to: 10 })).toBeNull();
  expect(place(-5, 5, { from: 0, to: 10 })).toEqual({ left: "0%", width: "50%" });
});

test("a curve's path stays in its box", () => {
  const curve = { step: 1, values: Array.from({ length: 5000 }, (_, n) => Math.sin(n)) };
  const numbers = path(curve, { from: 0, to: 5000 }).match(/,[-\d.]+/g)!.map((y) => Number(y.slice(1)));
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(numbers.length).toBeLessThan(1100);
  expect(extent({ step: 1, values: [0, 0.2, 0, 0.4] })).toEqual([0.2, 0.4]);
});

test("the cue that stands out is matched", () => {
  const values = [0.1, 0.12, 0.11, 0.1, 0.9, 0.1, 0.11, 0.12];
  const cues = values.map((_, n) => [n, n + 1, `cue ${n}`] as [number, number, string]);
  expect([...matched(cues, { step: 1, values })]).toEqual([4]);
  expect(matched(cues, null).size).toBe(0);
});

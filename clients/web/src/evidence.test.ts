import { expect, test } from "vitest";
import type { Finding, Line, Moment } from "./api";
import { channels, excerpt, lineOf, lines, ranked, rows, shot, showing, text } from "./evidence";
import { NOWHERE, nextIn, read, toggledIn, write } from "./place";

const line = (start: number, end: number, ...pieces: Line["pieces"]): Line => ({ start, end, pieces, box: null });
const truck = line(12, 16, ["the ", false], ["RED TRUCK", true], [" drives", false]);
const found: Finding[] = [
  { channel: "said", method: "meaning", rank: 0, line: line(12, 16, ["the RED TRUCK drives", false]) },
  { channel: "said", method: "words", rank: 2, line: truck },
  { channel: "seen", method: "meaning", rank: 3, line: null },
  { channel: "written", method: "words", rank: 1, line: { ...line(4, 9, ["EXIT", true]), box: [0, 0, 0.5, 0.5] } },
];

test("channels are told once, by their best rank, and lines once, with what matches", () => {
  expect(channels(found).map(({ channel, ranks }) => [channel, ranks[0]![1]])).toEqual([["said", 0], ["written", 1], ["seen", 3]]);
  expect(ranked(channels(found)[0]!.ranks)).toBe("number 1 by meaning, number 3 by words");
  const all = lines(found);
  expect(all.map((one) => [one.channel, text(one)])).toEqual([["said", "the RED TRUCK drives"], ["written", "EXIT"]]);
  expect(all[0]!.pieces).toEqual(truck.pieces);
});

test("a long line is cut around its first match, and says so", () => {
  const long = line(0, 1, ["a ".repeat(100), false], ["plate", true], [" b".repeat(100), false]);
  const shown = excerpt(long.pieces, 40);
  expect(shown.map(([piece]) => piece).join("").length).toBe(42);
  expect([shown[0]![0], shown.at(-1)![0]]).toEqual(["…", "…"]);
  expect(shown.find(([, matched]) => matched)).toEqual(["plate", true]);
  expect(excerpt([["x".repeat(50), false]], 40).map(([piece]) => piece)).toEqual(["x".repeat(40), "…"]);
  expect(excerpt([["y".repeat(50), false], ["end", true]], 40).at(-1)).toEqual(["end", true]);
  expect(excerpt(truck.pieces)).toBe(truck.pieces);
});

test("a card shows the line that found it best, inside the moment; else the frame most alike; else the middle", () => {
  const moment: Moment = { video: "v", start: 10, end: 14, rank: 1, score: 1, confidence: null, refined: true, proposal: [8, 16], best: 11, foundBy: found };
  expect(shot(moment)).toBe(13);
  const seen = { ...moment, foundBy: [found[2]!, found[0]!] };
  expect([shot(seen), shot({ ...seen, best: null }), shot({ ...moment, start: 20, end: 30, best: null })]).toEqual([11, 12, 25]);
});

test("boxes are those of texts that are on the screen now", () => {
  const all = [...lines(found), lineOf([8, 10, "slide", [0.1, 0.1, 0.2, 0.2]])];
  expect([3.9, 4, 8.5, 9, 13].map((now) => showing(all, now).map(text))).toEqual([[], ["EXIT"], ["EXIT", "slide"], ["slide"], []]);
});

test("the timeline has a row for each channel, a segment of both methods once", () => {
  const segment = { start: 4, end: 8, score: 0.5, rank: 5 };
  const seen = { ...segment, channel: "seen", method: "meaning" } as const;
  const said = { ...segment, channel: "said", method: "words" } as const;
  expect(rows([seen]).map((row) => row.name)).toEqual(["retrieved"]);
  expect(rows([]).map((row) => row.name)).toEqual(["retrieved"]);
  const two = rows([said, seen, { ...said, method: "meaning", rank: 1 }]);
  expect(two.map((row) => [row.name, row.top])).toEqual([["seen", 5], ["said", 5]]);
  expect(two[1]!.segments.map((one) => one.ranks)).toEqual([[["meaning", 1], ["words", 5]]]);
});

test("where to look: all, one after the other, never nowhere, in the address", () => {
  const all = ["seen", "said", "written"] as const;
  const click = (chosen: string[], one: (typeof all)[number]) => toggledIn(chosen, one, [...all]);
  expect([click([], "said"), click(["seen", "written"], "said"), click(["said"], "written"), click(["said"], "said")]).toEqual([
    ["seen", "written"], [], ["said", "written"], [],
  ]);
  expect([nextIn([], [...all]), nextIn(["seen"], [...all]), nextIn(["written"], [...all])]).toEqual([["seen"], ["said"], []]);
  const here = { ...NOWHERE, q: "RE16", in: ["said", "written"], video: "a", start: 3, end: 9, t: 4.25 };
  expect(read(write(here))).toEqual(here);
  expect([read("?v=a&at=3-9").t, read("?v=a&at=3-9&t=-1").t, read("?t=4").t]).toEqual([null, null, null]);
});

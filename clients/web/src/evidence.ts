// What found a moment: its channels, its lines, and the frame that shows it best.

import type { Channel, Finding, Line, Method, Moment, Segment, Writing } from "./api";
import { CHANNELS } from "./place";

/** How many characters of a line a card shows. */
export const MOST = 96;

/** The channels that found a moment, the best rank first. ranks: 0-based, the best first. */
export function channels(found: Finding[]): { channel: Channel; ranks: [Method, number][] }[] {
  const ranks = new Map<Channel, [Method, number][]>();
  for (const { channel, method, rank } of found) ranks.set(channel, [...(ranks.get(channel) ?? []), [method, rank]]);
  return [...ranks]
    .map(([channel, all]) => ({ channel, ranks: all.sort((a, b) => a[1] - b[1]) }))
    .sort((a, b) => a.ranks[0]![1] - b.ranks[0]![1]);
}

/** "by words number 3, by meaning number 1", as people count. */
export const ranked = (ranks: [Method, number][]) => ranks.map(([method, rank]) => `number ${rank + 1} by ${method}`).join(", ");

export type Said = Line & { channel: Channel };

/** The lines that found a moment, each once, the best rank first; of two alike the one that has matches. */
export function lines(found: Finding[]): Said[] {
  const each = new Map<string, Said>();
  for (const { channel, line } of [...found].sort((a, b) => a.rank - b.rank)) {
    if (!line) continue;
    const key = `${channel} ${line.start} ${text(line)}`;
    const was = each.get(key);
    if (!was) each.set(key, { ...line, channel });
    else if (!was.pieces.some(([, matched]) => matched)) was.pieces = line.pieces;
  }
  return [...each.values()];
}

export const text = (line: Pick<Line, "pieces">) => line.pieces.map(([piece]) => piece).join("");

/** The pieces of a line around its first match, with "…" for what is left out. */
export function excerpt(pieces: Line["pieces"], most = MOST): Line["pieces"] {
  const whole = pieces.reduce((sum, [piece]) => sum + piece.length, 0);
  if (whole <= most) return pieces;
  let first = 0;
  for (const [piece, matched] of pieces) {
    if (matched) break;
    first += piece.length;
  }
  const from = first >= whole ? 0 : Math.max(0, Math.min(first - Math.floor(most / 3), whole - most));
  const kept: Line["pieces"] = [];
  let at = 0;
  for (const [piece, matched] of pieces) {
    const part = piece.slice(Math.max(0, from - at), Math.max(0, from + most - at));
    if (part) kept.push([part, matched]);
    at += piece.length;
  }
  return [...(from > 0 ? [["…", false] as [string, boolean]] : []), ...kept, ...(from + most < whole ? [["…", false] as [string, boolean]] : [])];
}

/** The second whose frame shows a moment: of the line that found it best, else the one most like the query, else the middle. */
export function shot(moment: Moment): number {
  const first = moment.foundBy?.[0];
  const line = moment.foundBy?.find((one) => one.rank === first?.rank && one.part === first.part && one.line)?.line;
  const from = Math.max(moment.start, line?.start ?? NaN);
  const to = Math.min(moment.end, line?.end ?? NaN);
  return to > from ? (from + to) / 2 : (moment.best ?? (moment.start + moment.end) / 2);
}

/** Written lines that are on the screen at a second. */
export const showing = <T extends Pick<Line, "start" | "end" | "box">>(all: T[], now: number) =>
  all.filter((line) => line.box && now >= line.start && now < line.end);

/** Writings as lines: what is chosen in the list of texts has its box too. */
export const lineOf = ([start, end, words, box]: Writing): Said => ({ start, end, box, pieces: [[words, false]], channel: "written" });

export interface Row {
  name: string;
  channel: Channel;
  segments: (Pick<Segment, "start" | "end" | "score"> & { ranks: [Method, number][] })[];
  // The worst rank of the row.
  top: number;
}

/** Retrieved segments as rows of the timeline: one a channel, or one where nothing but pictures was searched. */
export function rows(segments: Segment[]): Row[] {
  const texts = segments.some((one) => one.channel !== "seen");
  const used = texts ? CHANNELS.filter((channel) => segments.some((one) => one.channel === channel)) : CHANNELS.slice(0, 1);
  return used.map((channel) => {
    const each = new Map<number, Row["segments"][number]>();
    const mine = segments.filter((one) => one.channel === channel).sort((a, b) => a.rank - b.rank);
    for (const { start, end, score, method, rank } of mine) {
      const was = each.get(start);
      if (was) was.ranks.push([method, rank]);
      else each.set(start, { start, end, score, ranks: [[method, rank]] });
    }
    return { name: texts ? channel : "retrieved", channel, segments: [...each.values()], top: Math.max(1, ...mine.map((one) => one.rank)) };
  });
}

// Geometry of the timeline: which seconds are shown, and curves as paths.

import type { Curve, Why } from "./api";

export interface Window {
  from: number;
  to: number;
}

/** The seconds around a moment and its proposal that show why its boundaries lie where they do. */
export function around(spans: [number, number][], duration: number): Window {
  const first = Math.min(...spans.map(([start]) => start));
  const last = Math.max(...spans.map(([, end]) => end));
  const margin = Math.max(12, (last - first) * 0.75);
  return { from: Math.max(0, first - margin), to: Math.min(duration, last + margin) };
}

/** Where a second lies in a window, 0..1 where it is inside. */
export const share = (seconds: number, { from, to }: Window) => (seconds - from) / Math.max(1e-9, to - from);

/** A span's place in a window as percentages, null where it lies outside. */
export function place(start: number, end: number, window: Window): { left: string; width: string } | null {
  const a = Math.max(0, share(start, window));
  const b = Math.min(1, share(end, window));
  return b > a ? { left: `${100 * a}%`, width: `${100 * (b - a)}%` } : null;
}

/** The range of a curve's values, without the zeros of seconds in which nobody speaks. */
export function extent(curve: Curve): [number, number] {
  const said = curve.values.filter((value) => value !== 0);
  if (!said.length) return [0, 1];
  const low = said.reduce((a, b) => Math.min(a, b));
  const high = said.reduce((a, b) => Math.max(a, b));
  return high - low > 1e-6 ? [low, high] : [low - 0.5, high + 0.5];
}

/** A curve as an SVG path in a box of 1000 x 100, closed below; at most 1000 points, each a maximum. */
export function path(curve: Curve, window: Window): string {
  const [low, high] = extent(curve);
  const first = Math.max(0, Math.floor(window.from / curve.step));
  const last = Math.min(curve.values.length, Math.ceil(window.to / curve.step) + 1);
  const stride = Math.max(1, Math.ceil((last - first) / 1000));
  const points: string[] = [];
  for (let n = first; n < last; n += stride) {
    let value = low;
    for (let k = n; k < Math.min(last, n + stride); k++) value = Math.max(value, curve.values[k] || low);
    const x = 1000 * share((n + stride / 2) * curve.step, window);
    points.push(`${x.toFixed(1)},${(96 - 90 * ((value - low) / (high - low))).toFixed(1)}`);
  }
  if (!points.length) return "";
  const x = (point: string) => point.split(",")[0]!;
  return `M${x(points[0]!)},100L${points.join("L")}L${x(points.at(-1)!)},100Z`;
}

/** Cues that a subtitle curve says the query is about: those that stand out from what is said. */
export function matched(cues: [number, number, string][], curve: Curve | null): Set<number> {
  const found = new Set<number>();
  if (!curve) return found;
  const said = curve.values.filter((value) => value !== 0);
  if (!said.length) return found;
  const mean = said.reduce((a, b) => a + b, 0) / said.length;
  const spread = Math.sqrt(said.reduce((a, b) => a + (b - mean) ** 2, 0) / said.length);
  cues.forEach(([start, end], n) => {
    const rows = curve.values.slice(Math.floor(start / curve.step), Math.ceil(end / curve.step));
    if (spread > 1e-6 && Math.max(...rows, -1) > mean + 1.25 * spread) found.add(n);
  });
  return found;
}

/** In words: which segment led to the moment, and how its boundaries were moved. */
export function best(why: Why, start: number, end: number) {
  const inside = why.segments.filter((segment) => segment.start < end && segment.end > start);
  return inside.reduce<(typeof inside)[number] | null>((a, b) => (!a || b.rank < a.rank ? b : a), null);
}

// Where one is, as the address bar says it: a query, and perhaps a moment of it.

export interface Place {
  q: string;
  collection: string;
  video: string;
  start: number;
  end: number;
}

export const NOWHERE: Place = { q: "", collection: "", video: "", start: 0, end: 0 };

export function read(search: string): Place {
  const given = new URLSearchParams(search);
  const [start = NaN, end = NaN] = (given.get("at") ?? "").split("-").map(Number);
  const placed = end > start && start >= 0 ? { start, end } : { start: 0, end: 0 };
  const video = placed.end > 0 ? (given.get("v") ?? "") : "";
  return { q: given.get("q")?.trim() ?? "", collection: given.get("c") ?? "", video, ...placed };
}

export function write(place: Place): string {
  const said = new URLSearchParams();
  if (place.q) said.set("q", place.q);
  if (place.collection) said.set("c", place.collection);
  if (place.video) {
    said.set("v", place.video);
    said.set("at", `${round(place.start)}-${round(place.end)}`);
  }
  const text = said.toString();
  return text ? `?${text}` : location.pathname;
}

const round = (seconds: number) => Math.round(seconds * 100) / 100;

// Earlier queries, newest first.
const KEY = "spr.queries";
const MOST = 8;

export function recent(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one) => typeof one === "string").slice(0, MOST) : [];
  } catch {
    return [];
  }
}

export function remember(q: string): void {
  const kept = [q, ...recent().filter((one) => one !== q)].slice(0, MOST);
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // A browser that keeps nothing searches all the same.
  }
}

export function setting(name: string, value?: string): string {
  try {
    if (value !== undefined) localStorage.setItem(`spr.${name}`, value);
    return localStorage.getItem(`spr.${name}`) ?? "";
  } catch {
    return value ?? "";
  }
}

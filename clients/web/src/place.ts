// Where one is, as the address bar says it: a query, what may be found, and perhaps a moment of it.

import type { Channel } from "./api";

/** A query in the words of the gateway's query strings; "" and [] are left out. */
export interface Query {
  q: string;
  then: string[];
  within: string;
  not: string[];
  img: string[];
  like: string[];
  literal: string[];
  // Channels to look in; none: all.
  in: string[];
  id: string[];
  label: string[];
  nolabel: string[];
  folder: string;
  after: string;
  before: string;
  longer: string;
  shorter: string;
  from: string;
  to: string;
  group: string;
  pervideo: string;
}

export interface Place extends Query {
  collection: string;
  video: string;
  start: number;
  end: number;
  // The second to play from, null: the moment's start.
  t: number | null;
}

const LISTS = ["then", "not", "img", "like", "literal", "in", "id", "label", "nolabel"] as const;
const FILTERS = ["folder", "after", "before", "longer", "shorter", "from", "to"] as const;
const WORDS = ["q", "within", ...FILTERS, "group", "pervideo"] as const;

export const NO_FILTER = {
  id: [], label: [], nolabel: [], folder: "", after: "", before: "", longer: "", shorter: "", from: "", to: "",
} satisfies Partial<Query>;

const NO_QUERY = { q: "", then: [], within: "", not: [], img: [], like: [], literal: [], in: [] } satisfies Partial<Query>;

export const NOWHERE: Place = {
  ...NO_QUERY, ...NO_FILTER, group: "", pervideo: "", collection: "", video: "", start: 0, end: 0, t: null,
};

/** No moment is open. */
export const CLOSED = { video: "", start: 0, end: 0, t: null } satisfies Partial<Place>;

/** A place without its query: the filter stays. */
export const anew = (place: Place): Place => ({ ...place, ...NO_QUERY, ...CLOSED });

/** Whether something is asked: a filter alone is no query. */
export const asks = (place: Query) => Boolean(place.q || place.img.length || place.like.length);

/** Whether the query is one sentence, which can be judged. */
export const lone = (place: Query) =>
  Boolean(place.q) && !place.then.length && !place.not.length && !place.img.length && !place.like.length;

export const CHANNELS: Channel[] = ["seen", "said", "written"];

/** The channels to look in after a click on one; [] for all that there are, and in place of none. */
export function toggledIn(chosen: string[], one: Channel, all: Channel[]): Channel[] {
  const on = new Set(chosen.length ? chosen : all);
  if (!on.delete(one)) on.add(one);
  return all.every((each) => on.has(each)) ? [] : CHANNELS.filter((each) => on.has(each));
}

/** All channels, then each alone, in turn. */
export function nextIn(chosen: string[], all: Channel[]): Channel[] {
  const at = chosen.length === 1 ? all.indexOf(chosen[0] as Channel) : -1;
  return all.slice(at + 1, at + 2);
}

/** How many filters are set. */
export const filtered = (place: Query) =>
  FILTERS.filter((name) => place[name]).length + place.id.length + place.label.length + place.nolabel.length;

/** The query as a query string; the same query has the same. */
export function said(place: Query): string {
  const params = new URLSearchParams();
  for (const name of WORDS) if (place[name]) params.set(name, place[name]);
  for (const name of LISTS) for (const one of place[name]) params.append(name, one);
  return params.toString();
}

export function read(search: string): Place {
  const given = new URLSearchParams(search);
  const [start = NaN, end = NaN] = (given.get("at") ?? "").split("-").map(Number);
  const placed = end > start && start >= 0 && end < Infinity ? { start, end } : { start: 0, end: 0 };
  const place: Place = { ...NOWHERE, collection: given.get("c") ?? "", ...placed };
  place.video = placed.end > 0 ? (given.get("v") ?? "") : "";
  const t = Number(given.get("t") || NaN);
  place.t = place.video && t >= 0 && t < Infinity ? t : null;
  for (const name of WORDS) place[name] = given.get(name)?.trim() ?? "";
  for (const name of LISTS) place[name] = given.getAll(name).filter(Boolean);
  return place;
}

export function write(place: Place): string {
  const params = new URLSearchParams(said(place));
  if (place.collection) params.set("c", place.collection);
  if (place.video) {
    params.set("v", place.video);
    params.set("at", `${round(place.start)}-${round(place.end)}`);
    if (place.t !== null) params.set("t", `${round(place.t)}`);
  }
  const text = params.toString();
  return text ? `?${text}` : location.pathname;
}

/** A span of a video as queries and choices name it. */
export const spanOf = (moment: { video: string; start: number; end: number }) =>
  `${moment.video}@${round(moment.start)}-${round(moment.end)}`;

export function readSpan(text: string): { video: string; start: number; end: number } {
  const [, video = text, start = "0", end = "0"] = /^([^]+)@([\d.]+)-([\d.]+)$/.exec(text) ?? [];
  return { video, start: Number(start), end: Number(end) };
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
